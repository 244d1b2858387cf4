-- Add what a batch moved to the balances of accounts.
-- $1 partition, then arrays: $2 account IDs, $3 currencies, $4 sums.
-- Locks: the balances' rows; only the settle that holds the partition's fence writes them.
-- Index: account_balances_pkey.
insert into account_balances (partition, account_id, currency, balance)
select p.partition, u.account_id, u.currency, u.balance
from partition_progress p, unnest($2::uuid[], $3::text[], $4::bigint[]) as u (account_id, currency, balance)
where p.partition = $1
on conflict (partition, account_id, currency) do update
set balance = account_balances.balance + excluded.balance
