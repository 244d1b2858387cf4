-- Which operations have an outcome, without their rows: most of
-- those asked for have none yet. One look-up for each, so that no plan can depend
-- on statistics that are not there yet.
-- $1 partitions, $2 operation IDs, pair by pair.
-- Locks: none.
-- Index: operations_pkey.
select o.id
from unnest($1::integer[], $2::uuid[]) as u (partition, id)
cross join lateral (
  select id
  from operations
  where partition = u.partition and id = u.id
  limit 1
) o
