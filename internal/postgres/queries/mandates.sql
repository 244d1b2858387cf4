-- The mandates of a wallet, or the one of a merchant, with the merchants' names and the wallet's currency.
-- $1 partition, $2 wallet ID, $3 merchant ID (null: all).
-- Locks: none.
-- Index: mandates_pkey.
select
  m.wallet_id, m.merchant_id, m.given, m.max_amount, m.per_day, m.per_month, m.total, m.valid_until, m.day, m.used_on_day, m.used_in_month,
  m.used, coalesce((select name from merchants where id = m.merchant_id), ''),
  coalesce((select currency from wallets where partition = $1 and id = $2), '')
from mandates m
where m.partition = $1 and m.wallet_id = $2 and ($3::uuid is null or m.merchant_id = $3)
order by m.merchant_id
