-- Claim a partition: raise its epoch, which fences off every earlier owner. Epochs
-- never repeat, not even where the database is restored to an earlier moment.
-- $1 partition, $2 topic, $3 owner, and what is known of the progress: $4 epoch,
-- $5 epoch that moved it, $6 next offset. No row: it has no progress, stands
-- behind that, or a move of it is not finished.
-- Locks: the progress row; waits for a settle that is committing.
-- Index: partition_progress_pkey.
update partition_progress p
set epoch = greatest(p.epoch + 1, extract(epoch from now())::bigint), owner = $3, updated_at = now()
from deployment d
where p.partition = $1 and p.topic = $2 and p.epoch >= $4 and (p.moved_epoch, p.next_offset) >= ($5, $6) and p.goal is null
returning d.history, p.log, p.epoch, p.moved_epoch, p.first_offset, p.next_offset, p.last_record, d.partitions, d.cluster_id,
  coalesce(p.halt_cause, '')
