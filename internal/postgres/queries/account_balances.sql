-- An account's balances: the sums of its parts in every partition.
-- $1 account ID, $2 every partition.
-- Locks: none.
-- Index: account_balances_pkey.
select currency, sum(balance)::text
from account_balances
where partition = any($2::integer[]) and account_id = $1
group by currency
order by currency
