-- Rows whose place in the log cannot be right, each with what is wrong with it.
-- $1 partition, $2 log, $3 the offset that settling has reached.
-- Locks: none. Reads the partition as a whole.
select log, coalesce(log_offset, -1), 'an operation lies beyond the progress' as fault
from operations
where partition = $1 and (log > $2 or log = $2 and log_offset >= $3)
union all
select log, coalesce(log_offset, -1), 'more than one operation came from one record'
from operations
where partition = $1 and log is not null
group by log, log_offset
having count(*) > 1
union all
select o.log, coalesce(o.log_offset, -1), 'a failed operation has no dead letter beside it'
from operations o
where o.partition = $1 and o.reason = 'processing_error' and o.log is not null and not exists (
  select 1
  from dead_letters d
  where d.partition = $1 and d.log = o.log and d.log_offset = o.log_offset
)
union all
select log, log_offset, 'a dead letter lies beyond the progress'
from dead_letters
where partition = $1 and (log > $2 or log = $2 and log_offset >= $3)
union all
select d.log, d.log_offset, 'a dead letter names an operation, and neither it nor a conflict lies beside it'
from dead_letters d
where d.partition = $1 and d.operation_id is not null and not exists (
  select 1
  from operations o
  where o.partition = $1 and o.id = d.operation_id and o.log = d.log and o.log_offset = d.log_offset
) and not exists (
  select 1
  from conflicts c
  where c.partition = $1 and c.log = d.log and c.log_offset = d.log_offset and c.operation_id = d.operation_id
)
union all
select log, log_offset, 'a conflict lies beyond the progress'
from conflicts
where partition = $1 and (log > $2 or log = $2 and log_offset >= $3)
union all
select c.log, c.log_offset, 'a conflict names no operation of another request'
from conflicts c
where c.partition = $1 and not exists (
  select 1
  from operations o
  where o.partition = $1 and o.id = c.operation_id and o.fingerprint <> c.fingerprint
)
