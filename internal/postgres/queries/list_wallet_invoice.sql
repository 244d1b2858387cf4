-- A page of the attempts to charge a merchant's invoice to one wallet, newest first.
-- $1 to $10: see @walk; $11 partition, $12 wallet ID, $13 invoice key; after the operation with $14 sequence (0: it has
-- none) and $15 ID (the first page: above both).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx, operations_holds_idx.
with walked as (
  select h.*, row_number() over (order by coalesce(sequence, 0) desc, id desc) as number
  from (
    (
      select *
      from operations
      where partition = $11 and wallet_id = $12 and invoice_key = $13
        and kind in ('charge', 'capture') and reason is null and invoice_key is not null and coalesce(sequence, 0) < $14::bigint
      limit 1
    )
    union all
    (
      select *
      from operations
      where partition = $11 and wallet_id = $12 and invoice_key = $13 and kind = 'hold' and reason is null and sequence < $14::bigint
      order by sequence desc
      limit $3
    )
    union all
    (
      select *
      from operations
      where partition = $11 and wallet_id = $12 and invoice_key = $13 and reason is not null and invoice_key is not null
        and (coalesce(sequence, 0), id) < ($14::bigint, $15::uuid)
      order by coalesce(sequence, 0) desc, id desc
      limit $3
    )
  ) h
)
@walk
