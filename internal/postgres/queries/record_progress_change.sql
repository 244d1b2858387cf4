-- Record that a person set a progress. Run by the owner.
-- $1 partition, $2 log before, $3 offset before (both null: there was no progress), $4 log, $5 offset, $6 epoch,
-- $7 records that became failed operations, $8 records that became dead letters alone, $9 who, $10 reason.
-- Locks: the new row.
insert into progress_changes (
  partition, from_log, from_offset, to_log, to_offset, epoch, failed, dead, changed_by, reason
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
