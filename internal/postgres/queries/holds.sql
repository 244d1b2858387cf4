-- Under which claim a partition is.
-- $1 partition.
-- Locks: none.
-- Index: partition_progress_pkey.
select epoch
from partition_progress
where partition = $1
