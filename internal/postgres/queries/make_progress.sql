-- Make a progress that is missing, at the start of a log; where somebody made it
-- meanwhile, nothing. Run by the owner.
-- $1 partition, $2 topic, $3 log, $4 epoch.
-- Locks: the new row; waits for another one who makes it.
-- Index: partition_progress_pkey, operations_position_key.
insert into partition_progress (partition, topic, log, epoch, moved_epoch, last_position)
select $1, $2, $3, $4, $4, coalesce(max(position), 0)
from operations
where partition = $1
on conflict (partition) do nothing
