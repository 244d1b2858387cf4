-- A page of the operations of some IDs, newest first.
-- $1 to $10: see @walk; $11 partitions and $12 IDs, pair by pair; after the operation decided at $13 (infinity: the first
-- page) with $14 ID.
-- Locks: none.
-- Index: operations_pkey.
with walked as (
  select o.*, row_number() over (order by o.decided_at desc, o.id desc) as number
  from unnest($11::integer[], $12::uuid[]) as u (partition, id)
  cross join lateral (
    select *
    from operations
    where partition = u.partition and id = u.id
    limit 1
  ) o
  where (o.decided_at, o.id) < ($13::timestamptz, $14::uuid)
)
@walk
