-- Currencies in which money appeared or vanished: the sum over all wallets and
-- accounts of a partition is zero.
-- $1 partition.
-- Locks: none. Reads the partition as a whole.
select currency, sum(balance)::text
from (
  select currency, balance from wallets where partition = $1
  union all
  select currency, balance from account_balances where partition = $1
) money
group by currency
having sum(balance) <> 0
