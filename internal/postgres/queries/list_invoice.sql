-- A page of the attempts to charge a merchant's invoice to any wallet: wallet by
-- wallet, as the two indexes on invoices have them, and newest first within each. Each branch says the predicate of
-- its index.
-- $1 to $10: see @walk; $11 invoice key; after the operation of $12 wallet with $13 sequence (0: it has none) and $14 ID
-- (the first page: above all of these).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with walked as (
  select h.*, row_number() over (order by wallet_id desc, coalesce(sequence, 0) desc, id desc) as number
  from (
    (
      select *
      from operations
      where invoice_key = $11 and kind in ('charge', 'capture') and reason is null and invoice_key is not null
        and wallet_id <= $12::uuid and (wallet_id < $12::uuid or sequence < $13::bigint)
      order by wallet_id desc
      limit $3
    )
    union all
    (
      select *
      from operations
      where invoice_key = $11 and reason is not null and invoice_key is not null
        and (wallet_id, coalesce(sequence, 0), id) < ($12::uuid, $13::bigint, $14::uuid)
      order by wallet_id desc, coalesce(sequence, 0) desc, id desc
      limit $3
    )
  ) h
)
@walk
