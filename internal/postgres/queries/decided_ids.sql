-- Which operations of one partition have an outcome, without their rows: most of
-- those asked for have none yet. One look-up for each, so that no plan can depend
-- on statistics that are not there yet.
-- $1 partition, $2 operation IDs.
-- Locks: none.
-- Index: operations_pkey.
select o.id
from unnest($2::uuid[]) as u (id)
cross join lateral (
  select id
  from operations
  where partition = $1 and id = u.id
  limit 1
) o
