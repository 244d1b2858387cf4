-- First statement of a move of the progress: lock it as a settle does, and read
-- where it stands, and how far it had come in this log before earlier moves.
-- $1 partition. No row: the partition has no progress.
-- Locks: the progress row, which lets direct operations share it; waits for a settle that is committing.
-- Index: partition_progress_pkey, progress_changes_pkey.
select p.topic, p.log, p.epoch, p.next_offset, p.last_record, greatest(
  p.next_offset, (select max(c.from_offset) from progress_changes c where c.partition = $1 and c.from_log = p.log)
)
from partition_progress p
where p.partition = $1
for no key update
