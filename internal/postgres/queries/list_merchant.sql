-- A page of a merchant's operations, newest first.
-- $1 to $10: see @walk; $11 merchant ID; after the operation decided at $12 (infinity: the first page) with $13 ID.
-- Locks: none.
-- Index: operations_merchant_idx.
with walked as (
  select h.*, row_number() over (order by decided_at desc, id desc) as number
  from (
    select *
    from operations
    where merchant_id = $11 and (decided_at, id) < ($12::timestamptz, $13::uuid) and decided_at >= coalesce($7::timestamptz, '-infinity')
    order by decided_at desc, id desc
    limit $3
  ) h
)
@walk
