-- Give the partitions to the processors of another consumer group, unless a processor
-- is connected. Returns the group before, and how many connections processors have.
-- $1 consumer group.
-- Locks: the deployment's row.
with running as (
  select count(*) as connections
  from pg_stat_activity
  where datname = current_database() and application_name = 'monedero-processor'
), before as (
  select consumer_group from deployment for update
), bound as (
  update deployment set consumer_group = $1
  where (select connections from running) = 0
)
select b.consumer_group, r.connections
from before b, running r
