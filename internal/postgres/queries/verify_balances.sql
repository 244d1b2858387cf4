-- Every account balance of a partition.
-- $1 partition.
-- Locks: none.
-- Index: account_balances_pkey.
select account_id, currency, balance::text
from account_balances
where partition = $1
