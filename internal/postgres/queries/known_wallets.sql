-- Which wallets exist. One look-up for each, so that no plan can depend on statistics
-- that are not there yet.
-- $1 partitions, $2 wallet IDs, in pairs.
-- Locks: none.
-- Index: wallets_pkey.
select w.id
from unnest($1::integer[], $2::uuid[]) as u (partition, id)
cross join lateral (
  select id
  from wallets
  where partition = u.partition and id = u.id
  limit 1
) w
