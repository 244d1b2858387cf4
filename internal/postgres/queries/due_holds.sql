-- Open holds past their expiry, in partitions whose last owner is this one and which do not halt. Ten seconds are
-- for captures that an ingest with a slower clock takes in time.
-- $1 owner, $2 rows.
-- Locks: none.
-- Index: holds_expires_at_idx, partition_progress_pkey.
select h.id, h.wallet_id, h.merchant_id
from holds h
join partition_progress p on p.partition = h.partition
where h.expires_at <= now() - interval '10 seconds' and p.owner = $1 and p.halt_cause is null
order by h.expires_at
limit $2
