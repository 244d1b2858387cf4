-- Set a progress, or make it where it is missing: a new epoch fences off whoever
-- holds a claim, and the counts begin anew. Run by the owner.
-- $1 partition, $2 topic, $3 log, $4 offset, $5 epoch, $6 hash of the record before the offset.
-- Locks: the progress row.
-- Index: partition_progress_pkey.
insert into partition_progress (partition, topic, log, first_offset, next_offset, epoch, last_record)
values ($1, $2, $3, $4, $4, $5, $6)
on conflict (partition) do update
set log = excluded.log, first_offset = excluded.first_offset, next_offset = excluded.next_offset, epoch = excluded.epoch,
  last_record = excluded.last_record, owner = null, settled = 0, duplicates = 0, conflicts = 0, dead = 0, gaps = 0,
  updated_at = now()
