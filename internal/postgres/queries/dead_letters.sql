-- A page of dead letters in the order of their places.
-- $1 partitions, $2 partition, $3 log and $4 offset to start behind, $5 also those that are done with, $6 limit,
-- $7 text that their reason holds, $8 and $9 the time that they were set aside: from, and before; null: any.
-- Locks: none.
-- Index: dead_letters_pkey, changes_letter_key.
select
  d.partition, d.log, d.log_offset, d.record_time, d.created_at, d.operation_id, d.key, d.value, d.headers::text, d.reason
from dead_letter_states d
where d.partition = any($1::integer[]) and (d.partition, d.log, d.log_offset) > ($2, $3, $4) and position($7::text in d.reason) > 0
  and ($8::timestamptz is null or d.created_at >= $8) and ($9::timestamptz is null or d.created_at < $9)
  and ($5::boolean or not d.done)
order by d.partition, d.log, d.log_offset
limit $6
