-- First statement of a move of the progress: lock it as a settle does, and read
-- where it stands. What else depends on it is read by later statements: this one
-- sees other tables as they were before it waited.
-- $1 partition. No row: the partition has no progress.
-- Locks: the progress row, and so holds off direct operations; waits for a settle that is committing.
-- Index: partition_progress_pkey.
with progress as materialized (
  select topic, log, epoch, next_offset, last_record, last_position, goal
  from partition_progress
  where partition = $1
  for no key update
)
select topic, log, epoch, next_offset, last_record, last_position, goal, clock_timestamp()
from progress
