-- Note requests that came under the ID of another one. A replay finds them.
-- $1 partition, $2 log, then arrays: $3 offsets, $4 operation IDs, $5 fingerprints.
-- Locks: the new rows.
-- Index: conflicts_pkey.
insert into conflicts (partition, log, log_offset, operation_id, fingerprint)
select p.partition, $2::integer, u.log_offset, u.operation_id, u.fingerprint
from partition_progress p, unnest($3::bigint[], $4::uuid[], $5::bytea[]) as u (log_offset, operation_id, fingerprint)
where p.partition = $1
on conflict (partition, log, log_offset) do nothing
