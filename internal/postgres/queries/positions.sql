-- The places of the next records that partitions are to settle.
-- $1 partitions.
-- Locks: none.
-- Index: partition_progress_pkey.
select partition, log, next_offset
from partition_progress
where partition = any($1::integer[])
