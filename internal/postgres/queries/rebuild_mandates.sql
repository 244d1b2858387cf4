-- Make the mandates of a partition anew from the history. Returns how many there are, and how many were not as they should be.
-- $1 partition.
-- Locks: the rows that change; nobody else holds any while the progress row is held.
-- Reads the partition's history.
with made as (
  @mandates
),
written as (
  insert into mandates as m (
    partition, wallet_id, merchant_id, given, max_amount, per_day, per_month, total, valid_until, day, used_on_day, used_in_month, used
  )
  select $1, made.*
  from made
  on conflict (wallet_id, merchant_id, partition) do update
  set given = excluded.given, max_amount = excluded.max_amount, per_day = excluded.per_day, per_month = excluded.per_month,
    total = excluded.total, valid_until = excluded.valid_until, day = excluded.day, used_on_day = excluded.used_on_day,
    used_in_month = excluded.used_in_month, used = excluded.used
  where (
    m.given, m.max_amount, m.per_day, m.per_month, m.total, m.valid_until, m.day, m.used_on_day, m.used_in_month, m.used
  ) is distinct from (
    excluded.given, excluded.max_amount, excluded.per_day, excluded.per_month, excluded.total, excluded.valid_until, excluded.day,
    excluded.used_on_day, excluded.used_in_month, excluded.used
  )
  returning 1
),
removed as (
  delete from mandates m
  where m.partition = $1 and not exists (
    select 1
    from made
    where made.wallet_id = m.wallet_id and made.merchant_id = m.merchant_id
  )
  returning 1
)
select (select count(*) from made), (select count(*) from written) + (select count(*) from removed)
