-- What people changed of the deployment and of the progress of partitions, the newest
-- first: what, from what, to what, who, logged in as whom, and why.
-- $1 how many.
-- Locks: none.
select changed_at, what, from_value, to_value, changed_by, login, reason
from (
  select changed_at, what, from_value, to_value, changed_by, login, reason
  from deployment_changes
  union all
  select
    changed_at, 'progress of partition ' || partition, coalesce('log ' || from_log || ', offset ' || from_offset, 'none'),
    'log ' || to_log || ', offset ' || to_offset, changed_by, login, reason
  from progress_changes
) c
order by changed_at desc, what
limit $1
