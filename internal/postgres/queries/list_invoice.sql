-- A page of the attempts to charge a merchant's invoice to any wallet: wallet by
-- wallet, as the two indexes on invoices have them, and newest first within each. Each branch says the predicate of
-- its index.
-- $1 to $11: see @walk; $12 invoice key; after the operation of $13 wallet at $14 position (the first page: above
-- both).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with walked as (
  select h.*, row_number() over (order by wallet_id desc, position desc) as number
  from (
    (
      select *
      from operations
      where invoice_key = $12 and kind in ('charge', 'capture') and reason is null and invoice_key is not null
        and wallet_id <= $13::uuid and (wallet_id < $13::uuid or position < $14::bigint)
      order by wallet_id desc
      limit $3
    )
    union all
    (
      select *
      from operations
      where invoice_key = $12 and reason is not null and invoice_key is not null
        and (wallet_id, position) < ($13::uuid, $14::bigint)
      order by wallet_id desc, position desc
      limit $3
    )
  ) h
)
@walk
