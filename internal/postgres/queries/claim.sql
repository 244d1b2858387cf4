-- Claim a partition: raise its epoch, which fences off every earlier owner.
-- $1 partition, $2 topic, $3 owner. No row: the partition has no progress.
-- Locks: the progress row; waits for a settle that is committing.
-- Index: partition_progress_pkey.
update partition_progress p
set epoch = p.epoch + 1, owner = $3, updated_at = now()
from deployment d
where p.partition = $1 and p.topic = $2
returning p.log, p.epoch, p.first_offset, p.next_offset, p.last_record, d.partitions, d.cluster_id,
  coalesce(p.halt_cause, '')
