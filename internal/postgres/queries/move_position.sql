-- Say which position the last operation of a partition has, where its progress stays.
-- $1 partition, $2 position.
-- Locks: the progress row, locked already.
-- Index: partition_progress_pkey.
update partition_progress
set last_position = $2
where partition = $1
