-- A page of a wallet's operations: those without a sequence first, then the
-- newest first. An invoice is found by filtering the wallet's own history.
-- $1 partition, $2 wallet ID, $3 merchant ID or null, $4 invoice or null, $5 limit; after the operation with $6
-- sequence (null: it has none, or the first page) and $7 ID (null: the first page).
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx.
with page as (
  (
    select *
    from operations
    where partition = $1 and wallet_id = $2 and sequence is null
      and $6::bigint is null and ($7::uuid is null or id < $7)
      and ($3::uuid is null or merchant_id = $3) and ($4::text is null or invoice = $4)
    order by id desc
    limit $5
  )
  union all
  (
    select *
    from operations
    where partition = $1 and wallet_id = $2 and sequence < coalesce($6::bigint, 9223372036854775807)
      and ($3::uuid is null or merchant_id = $3) and ($4::text is null or invoice = $4)
    order by sequence desc
    limit $5
  )
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id)
from page o
order by o.sequence desc nulls first, o.id desc
limit $5
