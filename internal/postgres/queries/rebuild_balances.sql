-- Make every account balance of a partition anew, in place, from what its
-- accepted operations moved. Returns how many there are, and how many were not
-- as they should be.
-- $1 partition.
-- Locks: the balances that change; nobody else holds any while the progress row is held.
-- Reads the partition as a whole.
with made as (
  select account_id, currency, sum(amount) as balance
  from movements
  where partition = $1
  group by account_id, currency
),
written as (
  insert into account_balances as b (partition, account_id, currency, balance)
  select $1, account_id, currency, balance
  from made
  on conflict (partition, account_id, currency) do update
  set balance = excluded.balance
  where b.balance <> excluded.balance
  returning 1
),
removed as (
  delete from account_balances b
  where b.partition = $1 and not exists (
    select 1
    from made
    where made.account_id = b.account_id and made.currency = b.currency
  )
  returning 1
)
select (select count(*) from made), (select count(*) from written) + (select count(*) from removed)
