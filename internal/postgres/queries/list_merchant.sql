-- A page of a merchant's operations, newest first. It ends behind the row with
-- which its texts reach so many bytes.
-- $1 merchant ID, $2 rows, $3 bytes; after the operation decided at $4 (infinity: the first page) with $5 ID.
-- Locks: none.
-- Index: operations_merchant_idx.
with page as (
  select *
  from operations
  where merchant_id = $1 and (decided_at, id) < ($4::timestamptz, $5::uuid)
  order by decided_at desc, id desc
  limit $2
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
      order by decided_at desc, id desc rows between unbounded preceding and 1 preceding
    ), 0) as bytes_before
  from (select * from page order by decided_at desc, id desc limit $2) page
) o
where o.bytes_before < $3
order by o.decided_at desc, o.id desc
