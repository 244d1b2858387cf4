-- A page of the attempts to charge a merchant's invoice to one wallet, newest
-- first. It ends behind the row with which its texts reach so many bytes.
-- $3 partition, $4 wallet ID, $5 invoice key, $1 rows, $2 bytes; after the operation with $6 sequence (0: it has none)
-- and $7 ID (the first page: above both).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with page as (
  (
    select *, true as found, false as ends
    from operations
    where partition = $3 and wallet_id = $4 and invoice_key = $5
      and kind = 'charge' and reason is null and invoice_key is not null and coalesce(sequence, 0) < $6::bigint
    limit 1
  )
  union all
  (
    select *, true as found, false as ends
    from operations
    where partition = $3 and wallet_id = $4 and invoice_key = $5 and reason is not null and invoice_key is not null
      and (coalesce(sequence, 0), id) < ($6::bigint, $7::uuid)
    order by coalesce(sequence, 0) desc, id desc
    limit $1
  )
)
@page(coalesce(sequence, 0) desc, id desc)
