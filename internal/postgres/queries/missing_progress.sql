-- The partitions that have no progress.
-- $1 number of partitions.
-- Locks: none.
-- Index: partition_progress_pkey.
select p
from generate_series(0, $1::integer - 1) as p
where not exists (select 1 from partition_progress g where g.partition = p)
order by p
