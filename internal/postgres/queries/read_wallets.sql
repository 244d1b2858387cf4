-- The wallets of a request that is decided dry, as they are. Besides the lock it is lock_wallets.
-- $1 partition, $2 wallet IDs, sorted.
-- Locks: none.
-- Index: wallets_pkey.
select w.id, w.client_id, w.currency, w.status, w.charges, w.balance, w.credit_limit, w.held, w.open_holds, w.last_sequence, w.last_digest
from unnest($2::uuid[]) as u (id)
cross join lateral (
  select id, client_id, currency, status, charges, balance, credit_limit, held, open_holds, last_sequence, last_digest
  from wallets
  where partition = $1 and id = u.id
  limit 1
) w
