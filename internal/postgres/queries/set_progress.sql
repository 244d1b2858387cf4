-- Set a progress: a new epoch fences off whoever holds a claim, and the counts
-- begin anew. Run by the owner, who has locked it.
-- $1 partition, $2 log, $3 offset, $4 epoch, $5 hash of the record before the offset, $6 position of the
-- last operation; $7 goal of a move that is not finished, $8 what halts the partition until then, or nulls.
-- Locks: the progress row.
-- Index: partition_progress_pkey.
update partition_progress
set log = $2, first_offset = $3, next_offset = $3, epoch = $4, moved_epoch = $4, last_record = $5, last_position = $6, owner = null,
  goal = $7, halt_cause = $8, halted_at = case when $8::text is not null then now() end,
  settled = 0, duplicates = 0, conflicts = 0, dead = 0, gaps = 0, updated_at = now()
where partition = $1
