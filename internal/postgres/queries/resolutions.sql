-- The places of one dead letter and of those with the same value, in order, and
-- what people did about each, step by step. Without steps: nulls.
-- $1 partition, $2 log, $3 offset.
-- Locks: none. Reads all dead letters.
select
  d.partition, d.log, d.log_offset, r.number, r.created_at, r.action, r.operation_id, r.to_partition, r.to_offset,
  r.resolved_by, r.reason
from dead_letters d
left join dead_letter_resolutions r on r.partition = d.partition and r.log = d.log and r.log_offset = d.log_offset
where (d.partition, d.log, d.log_offset) = ($1, $2, $3)
  or d.value = (select value from dead_letters where partition = $1 and log = $2 and log_offset = $3)
order by d.partition, d.log, d.log_offset, r.number
