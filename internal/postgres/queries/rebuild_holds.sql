-- Make the open holds of a partition anew from the history: those that no accepted operation ended.
-- Returns how many there are, and how many were not as they should be.
-- $1 partition.
-- Locks: the rows that change; nobody else holds any while the progress row is held.
-- Index: operations_holds_idx, operations_refers_to_idx, holds_pkey.
with made as (
  @open
),
written as (
  insert into holds as h (expires_at, partition, id, wallet_id, merchant_id, invoice_key)
  select expires_at, partition, id, wallet_id, merchant_id, invoice_key
  from made
  on conflict (partition, id) do update
  set expires_at = excluded.expires_at, wallet_id = excluded.wallet_id, merchant_id = excluded.merchant_id, invoice_key = excluded.invoice_key
  where (h.expires_at, h.wallet_id, h.merchant_id, h.invoice_key)
    is distinct from (excluded.expires_at, excluded.wallet_id, excluded.merchant_id, excluded.invoice_key)
  returning 1
),
removed as (
  delete from holds h
  where h.partition = $1 and not exists (select 1 from made where made.id = h.id)
  returning 1
)
select (select count(*) from made), (select count(*) from written) + (select count(*) from removed)
