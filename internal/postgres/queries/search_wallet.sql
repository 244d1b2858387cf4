-- A page of those operations of a wallet that are of a merchant, of an invoice, or of both, in the order of list_wallet.
-- No index knows of these: it goes through the wallet's history, so many operations at most, and says with the last
-- of them that it ends there. It also ends behind the row with which its texts reach so many bytes.
-- $1 rows, $2 bytes; $3 partition, $4 wallet ID; after the operation with $5 sequence (null: it has none, or the first
-- page) and $6 ID (the first page: above all); $7 merchant ID or null, $8 invoice or null, $9 operations to go through.
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx.
with walked as (
  select h.*, row_number() over (order by sequence desc nulls first, id desc) as number
  from (
    (
      select *
      from operations
      where partition = $3 and wallet_id = $4 and sequence is null
        and $5::bigint is null and id < $6::uuid
      order by id desc
      limit $9
    )
    union all
    (
      select *
      from operations
      where partition = $3 and wallet_id = $4 and sequence < coalesce($5::bigint, 9223372036854775807)
      order by sequence desc
      limit $9
    )
  ) h
),
page as (
  select *, number = $9 as ends
  from (
    select *, coalesce(($7::uuid is null or merchant_id = $7) and ($8::text is null or invoice = $8), false) as found
    from walked
    where number <= $9
  ) seen
  where found or number = $9
)
@page(number)
