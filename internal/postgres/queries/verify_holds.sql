-- Open holds of a partition that are not what the history has: those that no accepted operation ended.
-- $1 partition.
-- Locks: none.
-- Index: operations_holds_idx, operations_refers_to_idx.
with made as (
  select
    o.decided_at + o.expires_in * interval '1 second' as expires_at, o.partition, o.id, o.wallet_id, o.merchant_id, o.invoice_key
  from operations o
  where o.partition = $1 and o.kind = 'hold' and o.reason is null and not exists (
    select 1
    from operations e
    where e.partition = $1 and e.refers_to = o.id and e.refers_to is not null and e.reason is null and e.left_after = 0
  )
),
kept as (
  select expires_at, partition, id, wallet_id, merchant_id, invoice_key
  from holds
  where partition = $1
)
select id, case when count(*) = 2 then 'is not as it was opened' when bool_or(here) then 'is not open' else 'is open, and has no row' end
from (
  (
    select *, true as here
    from kept
    except
    select *, true
    from made
  )
  union all
  (
    select *, false
    from made
    except
    select *, false
    from kept
  )
) differing
group by id
