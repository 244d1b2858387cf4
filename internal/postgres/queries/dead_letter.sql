-- One dead letter.
-- $1 partition, $2 log, $3 offset.
-- Locks: none.
-- Index: dead_letters_pkey.
select partition, log, log_offset, record_time, created_at, operation_id, key, value, headers::text, reason
from dead_letters
where partition = $1 and log = $2 and log_offset = $3
