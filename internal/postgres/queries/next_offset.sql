-- The log of a partition, and its first offset that is not settled.
-- $1 partition.
-- Locks: none.
-- Index: partition_progress_pkey.
select log, next_offset
from partition_progress
where partition = $1
