-- First statement of a move of the progress: lock it as a settle does, and read
-- where it stands. What else depends on it is read by later statements: this one
-- sees other tables as they were before it waited.
-- $1 partition. No row: the partition has no progress.
-- Locks: the progress row, which lets direct operations share it; waits for a settle that is committing.
-- Index: partition_progress_pkey.
select topic, log, epoch, next_offset, last_record
from partition_progress
where partition = $1
for no key update
