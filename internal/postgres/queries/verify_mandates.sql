-- Mandates of a partition that are not what the history has.
-- $1 partition.
-- Locks: none.
-- Reads the partition's history.
with made as (
  @mandates
),
kept as (
  select
    wallet_id, merchant_id, given, max_amount, per_day, per_month, total, valid_until, day, used_on_day, used_in_month, used
  from mandates
  where partition = $1
)
select
  wallet_id, merchant_id,
  case when count(*) = 2 then 'is not as it was given and used' when bool_or(here) then 'was never given' else 'was given, and has no row' end
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
group by wallet_id, merchant_id
