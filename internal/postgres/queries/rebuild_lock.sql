-- Hold off settles and direct operations while a partition is rebuilt.
-- $1 partition.
-- Locks: the progress row, exclusively.
-- Index: partition_progress_pkey.
select next_offset
from partition_progress
where partition = $1
for update
