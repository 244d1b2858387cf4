-- Tables with rows in a partition that the topic does not have, and how many.
-- $1 number of partitions.
-- Locks: none. Reads the ends of the indexes by partition, all open holds and all mandates.
select name, rows
from (
  select 'operations' as name, count(*) as rows from operations where partition < 0 or partition >= $1
  union all
  select 'wallets', count(*) from wallets where partition < 0 or partition >= $1
  union all
  select 'holds', count(*) from holds where partition < 0 or partition >= $1
  union all
  select 'mandates', count(*) from mandates where partition < 0 or partition >= $1
  union all
  select 'account_balances', count(*) from account_balances where partition < 0 or partition >= $1
  union all
  select 'dead_letters', count(*) from dead_letters where partition < 0 or partition >= $1
  union all
  select 'conflicts', count(*) from conflicts where partition < 0 or partition >= $1
  union all
  select 'changes', count(*) from changes where chain < -1 or chain >= $1
  union all
  select 'change_chains', count(*) from change_chains where chain < -1 or chain >= $1
  union all
  select 'partition_progress', count(*) from partition_progress where partition < 0 or partition >= $1
) strays
where rows > 0
