-- Every operation of a partition in the order of each wallet's history, those
-- without a sequence last, with the wallet's row and, where it has an invoice,
-- the accepted charge of that invoice and its sequence.
-- $1 partition.
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx, operations_invoice_accepted_key.
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata,
  o.invoice_key, w.client_id, w.currency, w.status, w.balance, w.credit_limit, w.last_sequence, w.last_digest,
  w.opened_at, a.id, a.sequence
from (
  select * from operations where partition = $1 and sequence is not null
  union all
  select * from operations where partition = $1 and sequence is null
) o
left join wallets w on w.partition = $1 and w.id = o.wallet_id
left join lateral (
  select id, sequence
  from operations c
  where c.partition = $1 and c.invoice_key = o.invoice_key and c.wallet_id = o.wallet_id
    and c.kind = 'charge' and c.reason is null and c.invoice_key is not null
  order by c.sequence
  limit 1
) a on true
order by o.wallet_id, o.sequence, o.id
