-- What people did about one dead letter, step by step.
-- $1 partition, $2 log, $3 offset.
-- Locks: none.
-- Index: dead_letter_resolutions_pkey.
select number, created_at, action, operation_id, to_partition, to_offset, resolved_by, reason
from dead_letter_resolutions
where partition = $1 and log = $2 and log_offset = $3
order by number
