-- Where the positions of a partition's operations are not 1, 2, 3 ..., and where its progress says another last one.
-- $1 partition.
-- Locks: none.
-- Index: operations_position_key, operations_pkey, partition_progress_pkey.
select 'position ' || o.position || ' comes after ' || o.before
from (
  select position, lag(position, 1, 0::bigint) over (order by position) as before
  from operations
  where partition = $1
) o
where o.position <> o.before + 1
union all
select 'the last position is ' || p.last_position || ' by the progress, and ' || made.last || ' by the operations'
from partition_progress p
cross join (select coalesce(max(position), 0) as last from operations where partition = $1) made
where p.partition = $1 and p.last_position <> made.last
