-- Open holds past their expiry, in partitions whose last owner is this one and which do not halt: of each the earliest.
-- Ten seconds are for captures that an ingest with a slower clock takes in time.
-- $1 owner, $2 rows of a partition.
-- Locks: none.
-- Index: holds_expires_at_idx.
select h.id, h.wallet_id, h.merchant_id, h.expires_at
from partition_progress p
cross join lateral (
  select id, wallet_id, merchant_id, expires_at
  from holds
  where partition = p.partition and expires_at <= now() - interval '10 seconds'
  order by expires_at
  limit $2
) h
where p.owner = $1 and p.halt_cause is null
