-- A page of a merchant's operations, newest first.
-- $1 merchant ID, $2 limit; after the operation decided at $3 (infinity: the first page) with $4 ID.
-- Locks: none.
-- Index: operations_merchant_idx.
with page as (
  select *
  from operations
  where merchant_id = $1 and (decided_at, id) < ($3::timestamptz, $4::uuid)
  order by decided_at desc, id desc
  limit $2
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id)
from page o
order by o.decided_at desc, o.id desc
