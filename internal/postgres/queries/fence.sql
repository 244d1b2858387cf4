-- First statement of a settle: lock the progress and read whose it is and where
-- it stands. The caller compares both before it sends anything that commits. The time
-- is read under the lock: it is that of what the transaction decides.
-- $1 partition.
-- Locks: the progress row.
-- Index: partition_progress_pkey.
with progress as materialized (
  select epoch, log, moved_epoch, next_offset, last_position
  from partition_progress
  where partition = $1
  for no key update
)
select epoch, log, moved_epoch, next_offset, last_position, clock_timestamp()
from progress
