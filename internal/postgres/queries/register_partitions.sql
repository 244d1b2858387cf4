-- Make the progress of every partition, at offset 0.
-- $1 topic, $2 partitions.
-- Locks: the new rows.
insert into partition_progress (partition, topic, last_position)
select p, $1, coalesce((select max(o.position) from operations o where o.partition = p), 0)
from generate_series(0, $2::integer - 1) as p
on conflict (partition) do nothing
