-- Open holds of a partition that are not what the history has: those that no accepted operation ended.
-- $1 partition.
-- Locks: none.
-- Index: operations_holds_idx, operations_refers_to_idx.
with made as (
  @open
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
