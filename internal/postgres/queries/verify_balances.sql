-- Account balances of a partition that are not what its accepted operations
-- moved: what there is, and what there should be.
-- $1 partition.
-- Locks: none. Reads the partition as a whole.
with moved as (
  select account_id, currency, sum(amount) as balance
  from movements
  where partition = $1
  group by account_id, currency
)
select
  coalesce(m.account_id, b.account_id, '00000000-0000-0000-0000-000000000000'), coalesce(m.currency, b.currency, ''),
  coalesce(b.balance::text, 'nothing'), coalesce(m.balance, 0)::text
from moved m
full join (
  select account_id, currency, balance
  from account_balances
  where partition = $1
) b on b.account_id = m.account_id and b.currency = m.currency
where b.balance is distinct from coalesce(m.balance, 0)
