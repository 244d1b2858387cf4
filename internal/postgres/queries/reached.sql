-- How far settling of a log had come before people moved the progress back.
-- $1 partition, $2 log.
-- Locks: none; runs after the progress is locked.
-- Index: changes_progress_idx.
select coalesce(max(from_offset), 0)
from progress_changes
where partition = $1 and from_log = $2
