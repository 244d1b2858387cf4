-- Hold off a rebuild, and nobody else, while a direct operation is decided.
-- $1 partition.
-- Locks: the progress row, shared; a settle does not disturb it.
-- Index: partition_progress_pkey.
select next_offset
from partition_progress
where partition = $1
for key share
