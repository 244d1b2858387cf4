-- What a merchant's account got and gave back by day (UTC) and currency, of its next operations in the order of time, so many
-- at most. The last row says how many these were, and which was the last of them.
-- $1 merchant ID; behind the operation decided at $2 with $3 ID, decided before $4; $5 operations to go through.
-- Locks: none.
-- Index: operations_merchant_idx, operations_pkey.
with walked as materialized (
  select partition, id, decided_at, row_number() over (order by decided_at, id) as number
  from (
    select partition, id, decided_at
    from operations
    where merchant_id = $1 and (decided_at, id) > ($2::timestamptz, $3::uuid) and decided_at < $4::timestamptz
    order by decided_at, id
    limit $5
  ) o
),
days as (
  select
    (w.decided_at at time zone 'UTC')::date as day, m.currency,
    coalesce(sum(m.amount) filter (where m.amount > 0), 0)::text as charged, coalesce(-sum(m.amount) filter (where m.amount < 0), 0)::text as refunded,
    sum(m.amount)::text as net, count(*) filter (where m.amount > 0) as charges, count(*) filter (where m.amount < 0) as refunds
  from walked w
  cross join lateral (
    select currency, amount
    from movements
    where partition = w.partition and operation_id = w.id and account_id = $1
    limit 1
  ) m
  group by 1, 2
)
select to_char(day, 'YYYY-MM-DD') as day, currency, charged, refunded, net, charges, refunds, null::timestamptz as last_at, null::uuid as last_id
from days
union all
select null, null, null, null, null, number, null, decided_at, id
from (select * from walked order by number desc limit 1) l
order by day nulls last, currency
