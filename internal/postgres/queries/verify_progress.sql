-- How far a partition is settled, what became of its offsets, and how far it had
-- come before a person set its progress back: rows up to there are as they must be. And whether
-- its goal is the one that its last move gave it.
-- $1 partition.
-- Locks: none.
-- Index: partition_progress_pkey, changes_progress_idx, changes_pkey.
select p.topic, p.log, p.first_offset, p.next_offset, p.settled, p.duplicates, p.conflicts, p.dead, p.gaps, greatest(
  p.next_offset, (select max(c.from_offset) from progress_changes c where c.partition = p.partition and c.from_log = p.log)
), p.goal is not distinct from (
  select (c.after ->> 'goal')::bigint
  from changes c
  where c.chain = p.partition and c.action = 'progress_set'
  order by c.number desc
  limit 1
)
from partition_progress p
where p.partition = $1
