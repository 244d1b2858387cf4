-- Operations that have an outcome, whose wallets they are, and how many other
-- requests came under their IDs. One look-up for each.
-- $1 partitions, $2 operation IDs, pair by pair.
-- Locks: none.
-- Index: operations_pkey.
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata, o.note,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id)
from unnest($1::integer[], $2::uuid[]) as u (partition, id)
cross join lateral (
  select *
  from operations
  where partition = u.partition and id = u.id
  limit 1
) o
