-- Where the progress of partitions stands, as far as a memory of it can tell.
-- $1 partitions.
-- Locks: none.
-- Index: partition_progress_pkey.
select p.partition, p.topic, d.history, p.log, p.epoch, p.moved_epoch, p.next_offset, p.goal
from partition_progress p
  cross join deployment d
where p.partition = any($1::integer[])
