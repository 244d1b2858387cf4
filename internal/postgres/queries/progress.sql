-- How far every partition is settled.
-- Locks: none.
select partition, topic, log, first_offset, next_offset, epoch, moved_epoch, coalesce(owner, ''), settled, duplicates, conflicts, dead, gaps,
  updated_at, last_record, halted_at, coalesce(halt_cause, ''), goal
from partition_progress
order by partition
