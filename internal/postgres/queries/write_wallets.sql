-- Write down what a batch left of its wallets; an opened one is new. Driven by
-- the index, whatever the planner thinks of the tables.
-- $1 partition, $2 time of opening, then arrays: $3 wallet IDs, $4 client IDs, $5 currencies, $6 statuses, $7 balances,
-- $8 credit limits, $9 last sequences, $10 last digests.
-- Locks: the wallets' rows, locked already.
-- Index: wallets_pkey.
insert into wallets (
  opened_at, partition, id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest
)
select $2::timestamptz, p.partition, u.id, u.client_id, u.currency, u.status, u.balance, u.credit_limit, u.last_sequence, u.last_digest
from partition_progress p, unnest(
  $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bytea[]
) as u (id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest)
where p.partition = $1
on conflict (partition, id) do update
set status = excluded.status, balance = excluded.balance, last_sequence = excluded.last_sequence, last_digest = excluded.last_digest
