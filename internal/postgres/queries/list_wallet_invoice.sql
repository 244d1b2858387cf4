-- A page of the attempts to charge a merchant's invoice to one wallet, newest
-- first. It ends behind the row with which its texts reach so many bytes.
-- $1 partition, $2 wallet ID, $3 invoice key, $4 rows, $5 bytes; after the operation with $6 sequence (0: it has none)
-- and $7 ID (the first page: above both).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with page as (
  (
    select *
    from operations
    where partition = $1 and wallet_id = $2 and invoice_key = $3
      and kind = 'charge' and reason is null and invoice_key is not null and coalesce(sequence, 0) < $6::bigint
    limit 1
  )
  union all
  (
    select *
    from operations
    where partition = $1 and wallet_id = $2 and invoice_key = $3 and reason is not null and invoice_key is not null
      and (coalesce(sequence, 0), id) < ($6::bigint, $7::uuid)
    order by coalesce(sequence, 0) desc, id desc
    limit $4
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
      order by coalesce(sequence, 0) desc, id desc rows between unbounded preceding and 1 preceding
    ), 0) as bytes_before
  from (select * from page order by coalesce(sequence, 0) desc, id desc limit $4) page
) o
where o.bytes_before < $5
order by coalesce(o.sequence, 0) desc, o.id desc
