-- A page of a merchant's operations, newest first.
-- $1 to $11: see @walk; $12 merchant ID; after the operation decided at $13 (infinity: the first page) with $14 ID.
-- Locks: none.
-- Index: operations_merchant_idx.
with walked as (
  select h.*, row_number() over (order by decided_at desc, id desc) as number
  from (
    select *
    from operations
    where merchant_id = $12 and (decided_at, id) < ($13::timestamptz, $14::uuid) and decided_at >= coalesce($7::timestamptz, '-infinity')
    order by decided_at desc, id desc
    limit $3
  ) h
)
@walk
