-- The highest log that anything on record of a partition names; 1 where there is nothing.
-- $1 partition.
-- Locks: none. Reads the partition as a whole.
select greatest(
  1, (select max(log) from operations where partition = $1), (select max(log) from dead_letters where partition = $1),
  (select max(log) from conflicts where partition = $1), (select max(to_log) from progress_changes where partition = $1)
)
