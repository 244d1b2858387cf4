-- Write down what a batch left of its wallets: one look-up for each, once the table
-- was analyzed. A planner that knows nothing of it yet reads the partition's wallets.
-- $1 partition, then arrays: $2 wallet IDs, $3 statuses, $4 balances, $5 credit limits,
-- $6 last sequences, $7 last digests, $8 what is held, $9 numbers of open holds.
-- Locks: the wallets' rows, locked already.
-- Index: wallets_pkey.
update wallets w
set status = u.status, balance = u.balance, credit_limit = u.credit_limit, last_sequence = u.last_sequence, last_digest = u.last_digest,
  held = u.held, open_holds = u.open_holds
from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::bigint[], $9::bigint[])
  as u (id, status, balance, credit_limit, last_sequence, last_digest, held, open_holds)
where w.partition = $1 and w.id = u.id
