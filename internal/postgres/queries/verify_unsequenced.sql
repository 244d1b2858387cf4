-- The next operations of a partition that no wallet knows of.
-- $1 partition, $2 wallet and $3 operation to start behind, $4 last wallet, $5 limit, $6 null, or only those decided
-- since then.
-- Locks: none.
-- Index: operations_wallet_unsequenced_idx.
select
  log_offset, sequence, amount, balance_after, received_at, decided_at, apply_before, log, id,
  wallet_id, merchant_id, client_id, duplicate_of, kind, reason, currency, status_after, fingerprint,
  digest, idempotency_key, invoice, description, metadata, note, invoice_key
from operations
where partition = $1 and sequence is null and (wallet_id, id) > ($2::uuid, $3::uuid) and wallet_id <= $4
  and ($6::timestamptz is null or decided_at >= $6)
order by wallet_id, id
limit $5
