-- First statement of a direct operation: hold the progress, as a settle does, and read what
-- position the partition's last operation has. The time is read under the lock.
-- $1 partition.
-- Locks: the progress row; waits for a settle that is committing.
-- Index: partition_progress_pkey.
with progress as materialized (
  select last_position
  from partition_progress
  where partition = $1
  for no key update
)
select last_position, clock_timestamp()
from progress
