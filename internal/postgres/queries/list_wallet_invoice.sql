-- A page of the attempts to charge a merchant's invoice to one wallet, newest first.
-- $1 to $11: see @walk; $12 partition, $13 wallet ID, $14 invoice key; before the operation at $15 position (the first
-- page: above all).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx, operations_holds_idx.
with walked as (
  select h.*, row_number() over (order by position desc) as number
  from (
    (
      select *
      from operations
      where partition = $12 and wallet_id = $13 and invoice_key = $14
        and kind in ('charge', 'capture') and reason is null and invoice_key is not null and position < $15::bigint
      limit 1
    )
    union all
    (
      select *
      from operations
      where partition = $12 and wallet_id = $13 and invoice_key = $14 and kind = 'hold' and reason is null and position < $15::bigint
      order by position desc
      limit $3
    )
    union all
    (
      select *
      from operations
      where partition = $12 and wallet_id = $13 and invoice_key = $14 and reason is not null and invoice_key is not null
        and position < $15::bigint
      order by position desc
      limit $3
    )
  ) h
)
@walk
