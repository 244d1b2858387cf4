-- At which offsets of a range of a log there are dead letters.
-- $1 partition, $2 log, $3 first offset, $4 next offset.
-- Locks: none.
-- Index: dead_letters_pkey.
select log_offset
from dead_letters
where partition = $1 and log = $2 and log_offset >= $3 and log_offset < $4
