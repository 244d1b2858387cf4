-- Keep records that could not be decided. A replay of the same log finds them.
-- $1 partition, $2 log, then arrays: $3 offsets, $4 record times, $5 keys, $6 values, $7 headers, $8 reasons,
-- $9 operation IDs.
-- Locks: the new rows.
-- Index: dead_letters_pkey.
insert into dead_letters (partition, log, log_offset, record_time, key, value, headers, reason, operation_id)
select p.partition, $2::integer, u.log_offset, u.record_time, u.key, u.value, u.headers, u.reason, u.operation_id
from partition_progress p, unnest(
  $3::bigint[], $4::timestamptz[], $5::bytea[], $6::bytea[], $7::jsonb[], $8::text[], $9::uuid[]
) as u (log_offset, record_time, key, value, headers, reason, operation_id)
where p.partition = $1
on conflict (partition, log, log_offset) do nothing
