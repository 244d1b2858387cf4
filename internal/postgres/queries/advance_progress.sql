-- Last statement of a settle: move the progress and count what became of the
-- offsets. The row is the one that the fence locked and compared.
-- $1 partition, $2 epoch, $3 from, $4 to, $5 settled, $6 duplicates, $7 conflicts, $8 dead, $9 gaps,
-- $10 hash of the last record, $11 position of the last operation.
-- Locks: the progress row, locked already.
-- Index: partition_progress_pkey.
update partition_progress
set next_offset = $4, moved_epoch = epoch, settled = settled + $5, duplicates = duplicates + $6, conflicts = conflicts + $7, dead = dead + $8,
  gaps = gaps + $9, last_record = $10, last_position = $11, updated_at = now()
where partition = $1 and epoch = $2 and next_offset = $3
