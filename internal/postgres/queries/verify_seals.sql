-- Rows besides the history whose seal does not follow from them, resolutions out
-- of number or of no dead letter, and offsets that became more than one thing.
-- $1 partition.
-- Locks: none. Reads the partition as a whole.
select log, log_offset, 'a dead letter is not as it was written' as fault
from dead_letters
where partition = $1 and digest <> dead_letter_digest(
  partition, log, log_offset, record_time, created_at, operation_id, key, value, headers, reason
)
union all
select log, log_offset, 'a conflict is not as it was written'
from conflicts
where partition = $1 and digest <> conflict_digest(partition, log, log_offset, created_at, operation_id, fingerprint)
union all
select log, log_offset, 'resolutions of a dead letter are missing'
from dead_letter_resolutions
where partition = $1
group by log, log_offset
having max(number) <> count(*)
union all
select r.log, r.log_offset, 'a resolution is of no dead letter'
from dead_letter_resolutions r
where r.partition = $1 and r.number = 1 and not exists (
  select 1
  from dead_letters d
  where d.partition = $1 and d.log = r.log and d.log_offset = r.log_offset
)
union all
select d.log, d.log_offset, 'a dead letter and an operation came from one record'
from dead_letters d
join operations o on o.partition = $1 and o.log = d.log and o.log_offset = d.log_offset
where d.partition = $1 and d.operation_id is distinct from o.id
union all
select c.log, c.log_offset, 'a conflict and an operation came from one record'
from conflicts c
join operations o on o.partition = $1 and o.log = c.log and o.log_offset = c.log_offset
where c.partition = $1
union all
select d.log, d.log_offset, 'a dead letter and a conflict came from one record'
from dead_letters d
join conflicts c on c.partition = $1 and c.log = d.log and c.log_offset = d.log_offset
where d.partition = $1 and d.operation_id is distinct from c.operation_id
