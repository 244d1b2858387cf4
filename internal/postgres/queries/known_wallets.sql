-- Which wallets there are to whoever asks: to a merchant those that anyone may charge, and those that ever gave it a mandate. One look-up for each, so that no plan can depend on statistics
-- that are not there yet.
-- $1 partitions, $2 wallet IDs, $3 merchant IDs (null: all wallets that exist), in threes. Returns their numbers, from 1.
-- Locks: none.
-- Index: wallets_pkey, mandates_pkey.
select u.number
from unnest($1::integer[], $2::uuid[], $3::uuid[]) with ordinality as u (partition, id, merchant_id, number)
cross join lateral (
  select charges
  from wallets
  where partition = u.partition and id = u.id
  limit 1
) w
where u.merchant_id is null or w.charges is null or exists (
  select 1
  from mandates m
  where m.wallet_id = u.id and m.merchant_id = u.merchant_id and m.partition = u.partition
)
