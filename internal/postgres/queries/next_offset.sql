-- The first offset of a partition that is not settled.
-- $1 partition.
-- Locks: none.
-- Index: partition_progress_pkey.
select next_offset
from partition_progress
where partition = $1
