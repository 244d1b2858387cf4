-- How far a partition is settled, and what became of its offsets.
-- $1 partition.
-- Locks: none.
-- Index: partition_progress_pkey.
select topic, log, first_offset, next_offset, settled, duplicates, conflicts, dead, gaps
from partition_progress
where partition = $1
