-- A page of the attempts to charge a merchant's invoice to any wallet, newest
-- first. Each branch says the predicate of its index; "offset 0" keeps the
-- order out of the choice of the index.
-- $1 merchant ID, $2 limit; after the operation decided at $3 (infinity: the first page) with $4 ID; $5 invoice key.
-- Locks: none.
-- Index: operations_invoice_accepted_key, operations_invoice_failed_idx.
with page as (
  (
    select *
    from (
      select *
      from operations
      where invoice_key = $5 and kind = 'charge' and reason is null and invoice_key is not null
      offset 0
    ) accepted
    where merchant_id = $1 and (decided_at, id) < ($3::timestamptz, $4::uuid)
    order by decided_at desc, id desc
    limit $2
  )
  union all
  (
    select *
    from (
      select *
      from operations
      where invoice_key = $5 and reason is not null and invoice_key is not null
      offset 0
    ) failed
    where merchant_id = $1 and (decided_at, id) < ($3::timestamptz, $4::uuid)
    order by decided_at desc, id desc
    limit $2
  )
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id)
from page o
order by o.decided_at desc, o.id desc
limit $2
