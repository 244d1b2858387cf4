-- Note the next step about a dead letter. Of two people at once one fails.
-- $1 partition, $2 log, $3 offset, $4 number of the step, $5 action, $6 operation ID, $7 partition and $8 offset that
-- the record went to, $9 who, $10 reason.
-- Locks: the new row.
insert into dead_letter_resolutions (
  partition, log, log_offset, number, action, operation_id, to_partition, to_offset, resolved_by, reason
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
