-- First statement of a settle: lock the progress and read whose it is and where
-- it stands. The caller compares both before it sends anything that commits.
-- $1 partition.
-- Locks: the progress row, which lets direct operations share it.
-- Index: partition_progress_pkey.
select epoch, log, moved_epoch, next_offset
from partition_progress
where partition = $1
for no key update
