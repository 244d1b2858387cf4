-- The mandates that a batch uses, gives back to or changes. One look-up for each.
-- $1 partition, $2 wallet IDs, $3 merchant IDs, in pairs.
-- Locks: none; runs after the wallets are locked, and their mandates change under these locks.
-- Index: mandates_pkey.
select
  m.wallet_id, m.merchant_id, m.given, m.max_amount, m.per_day, m.per_month, m.total, m.valid_until, m.day, m.used_on_day, m.used_in_month,
  m.used
from unnest($2::uuid[], $3::uuid[]) as u (wallet_id, merchant_id)
cross join lateral (
  select *
  from mandates
  where partition = $1 and wallet_id = u.wallet_id and merchant_id = u.merchant_id
  limit 1
) m
