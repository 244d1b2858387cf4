-- A page of the attempts to charge a merchant's invoice to any wallet: wallet by
-- wallet, as the two indexes on invoices have them, and newest first within each. Each branch says the predicate of
-- its index. The page ends behind the row with which its texts reach so many bytes.
-- $1 invoice key, $2 rows, $3 bytes; after the operation of $4 wallet with $5 sequence (0: it has none) and $6 ID (the
-- first page: above all of these).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with page as (
  (
    select *
    from operations
    where invoice_key = $1 and kind = 'charge' and reason is null and invoice_key is not null
      and wallet_id <= $4::uuid and (wallet_id < $4::uuid or sequence < $5::bigint)
    order by wallet_id desc
    limit $2
  )
  union all
  (
    select *
    from operations
    where invoice_key = $1 and reason is not null and invoice_key is not null
      and (wallet_id, coalesce(sequence, 0), id) < ($4::uuid, $5::bigint, $6::uuid)
    order by wallet_id desc, coalesce(sequence, 0) desc, id desc
    limit $2
  )
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata, o.note,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id),
  o.rows, true, false
from (
  select
    page.*, count(*) over () as rows,
    coalesce(sum(coalesce(octet_length(metadata), 0) + coalesce(octet_length(description), 0) + coalesce(octet_length(note), 0)) over (
      order by wallet_id desc, coalesce(sequence, 0) desc, id desc rows between unbounded preceding and 1 preceding
    ), 0) as bytes_before
  from (select * from page order by wallet_id desc, coalesce(sequence, 0) desc, id desc limit $2) page
) o
where o.bytes_before < $3
order by o.wallet_id desc, coalesce(o.sequence, 0) desc, o.id desc
