-- Note why a partition halts, or that it does not.
-- $1 partition, $2 epoch of the claim under which it is said, $3 cause; null: it goes on.
-- No row: another owner has claimed it, or it has no progress.
-- Locks: the progress row; waits for a settle that is committing.
-- Index: partition_progress_pkey.
update partition_progress
set halt_cause = $3::text, halted_at = case when $3::text is not null then now() end
where partition = $1 and epoch = $2
