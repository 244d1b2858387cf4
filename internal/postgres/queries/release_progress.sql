-- Let a progress go on from where it stands, though it is behind what was settled:
-- its new epoch says so, and fences off whoever holds a claim. A move that is not finished
-- stays so. Run by the owner.
-- $1 partition, $2 new epoch, and where it must stand: $3 log, $4 epoch, $5 epoch that moved it, $6 next offset.
-- Locks: the progress row; waits for a settle that is committing.
-- Index: partition_progress_pkey.
update partition_progress
set epoch = $2, moved_epoch = $2, owner = null, halted_at = case when goal is not null then halted_at end,
  halt_cause = case when goal is not null then halt_cause end, updated_at = now()
where partition = $1 and log = $3 and epoch = $4 and moved_epoch = $5 and next_offset = $6
returning goal
