-- A page of a merchant's operations, newest first. It ends behind the row with
-- which its texts reach so many bytes.
-- $1 rows, $2 bytes; $3 merchant ID; after the operation decided at $4 (infinity: the first page) with $5 ID.
-- Locks: none.
-- Index: operations_merchant_idx.
with page as (
  select *, true as found, false as ends
  from operations
  where merchant_id = $3 and (decided_at, id) < ($4::timestamptz, $5::uuid)
  order by decided_at desc, id desc
  limit $1
)
@page(decided_at desc, id desc)
