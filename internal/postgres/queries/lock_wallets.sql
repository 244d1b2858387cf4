-- Lock the wallets of a batch, in the order given, and read them. One look-up
-- for each, so that no plan can depend on statistics that are not there yet.
-- $1 partition, $2 wallet IDs, sorted.
-- Locks: the wallets' rows.
-- Index: wallets_pkey.
select w.id, w.client_id, w.currency, w.status, w.charges, w.balance, w.credit_limit, w.held, w.open_holds, w.last_sequence, w.last_digest
from unnest($2::uuid[]) as u (id)
cross join lateral (
  select id, client_id, currency, status, charges, balance, credit_limit, held, open_holds, last_sequence, last_digest
  from wallets
  where partition = $1 and id = u.id
  for update
) w
