-- Make the last position of a partition anew from its operations. Returns whether it was
-- not as it should be. Run by the owner.
-- $1 partition.
-- Locks: the progress row, locked already.
-- Index: partition_progress_pkey, operations_position_key.
update partition_progress p
set last_position = made.last
from (select coalesce(max(position), 0) as last from operations where partition = $1) made
where p.partition = $1 and p.last_position <> made.last
