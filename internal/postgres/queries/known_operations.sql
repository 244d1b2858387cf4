-- Which of a batch's operations have an outcome already. One look-up for each,
-- so that no plan can depend on statistics that are not there yet.
-- $1 partition, $2 operation IDs.
-- Locks: none; runs after the wallets are locked.
-- Index: operations_pkey.
select o.id, o.fingerprint
from unnest($2::uuid[]) as u (id)
cross join lateral (
  select id, fingerprint
  from operations
  where partition = $1 and id = u.id
  limit 1
) o
