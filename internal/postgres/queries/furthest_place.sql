-- The furthest offset that is on record for a log.
-- $1 partition, $2 log.
-- Locks: none. Reads the partition as a whole.
select greatest(
  -1, (select max(log_offset) from operations where partition = $1 and log = $2),
  (select max(log_offset) from dead_letters where partition = $1 and log = $2),
  (select max(log_offset) from conflicts where partition = $1 and log = $2)
)
