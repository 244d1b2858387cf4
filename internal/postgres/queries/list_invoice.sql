-- A page of the attempts to charge a merchant's invoice to any wallet: wallet by
-- wallet, as the two indexes on invoices have them, and newest first within each. Each branch says the predicate of
-- its index. The page ends behind the row with which its texts reach so many bytes.
-- $3 invoice key, $1 rows, $2 bytes; after the operation of $4 wallet with $5 sequence (0: it has none) and $6 ID (the
-- first page: above all of these).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with page as (
  (
    select *, true as found, false as ends
    from operations
    where invoice_key = $3 and kind = 'charge' and reason is null and invoice_key is not null
      and wallet_id <= $4::uuid and (wallet_id < $4::uuid or sequence < $5::bigint)
    order by wallet_id desc
    limit $1
  )
  union all
  (
    select *, true as found, false as ends
    from operations
    where invoice_key = $3 and reason is not null and invoice_key is not null
      and (wallet_id, coalesce(sequence, 0), id) < ($4::uuid, $5::bigint, $6::uuid)
    order by wallet_id desc, coalesce(sequence, 0) desc, id desc
    limit $1
  )
)
@page(wallet_id desc, coalesce(sequence, 0) desc, id desc)
