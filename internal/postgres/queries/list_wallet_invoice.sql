-- A page of the attempts to charge a merchant's invoice to one wallet, in the
-- order of the wallet's history. "offset 0" keeps wallet and merchant out of the
-- choice of the index.
-- $1 partition, $2 wallet ID, $3 merchant ID, $4 invoice key, $5 limit; after the operation with $6 sequence (null: it
-- has none, or the first page) and $7 ID (null: the first page).
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with page as (
  select *
  from operations
  where partition = $1 and wallet_id = $2 and merchant_id = $3 and invoice_key = $4
    and kind = 'charge' and reason is null and invoice_key is not null
  union all
  select *
  from (
    select *
    from operations
    where partition = $1 and invoice_key = $4 and reason is not null and invoice_key is not null
    offset 0
  ) failed
  where wallet_id = $2 and merchant_id = $3
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id)
from page o
where ($7::uuid is null)
  or ($6::bigint is null and (o.sequence is not null or o.id < $7))
  or o.sequence < $6
order by o.sequence desc nulls first, o.id desc
limit $5
