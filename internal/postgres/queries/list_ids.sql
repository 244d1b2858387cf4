-- A page of the operations of some IDs, newest first.
-- $1 to $11: see @walk; $12 partitions and $13 IDs, pair by pair; after the operation decided at $14 (infinity: the first
-- page) with $15 ID.
-- Locks: none.
-- Index: operations_pkey.
with walked as (
  select o.*, row_number() over (order by o.decided_at desc, o.id desc) as number
  from unnest($12::integer[], $13::uuid[]) as u (partition, id)
  cross join lateral (
    select *
    from operations
    where partition = u.partition and id = u.id
    limit 1
  ) o
  where (o.decided_at, o.id) < ($14::timestamptz, $15::uuid)
)
@walk
