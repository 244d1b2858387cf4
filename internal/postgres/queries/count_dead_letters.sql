-- How many dead letters without an operation beside them lie in a range of a log.
-- $1 partition, $2 log, $3 first offset, $4 next offset.
-- Locks: none.
-- Index: dead_letters_pkey.
select count(*)
from dead_letters
where partition = $1 and log = $2 and log_offset >= $3 and log_offset < $4 and operation_id is null
