-- Append operations to the history. The rows follow in COPY's binary format, in
-- the order of these columns.
-- Locks: the new rows.
copy operations (
  log_offset, sequence, amount, balance_after, received_at, decided_at, apply_before, partition, log, id, wallet_id,
  merchant_id, client_id, duplicate_of, kind, reason, currency, status_after, fingerprint, digest, idempotency_key,
  invoice, invoice_key, description, metadata, note
) from stdin (format binary)
