-- Who, in the end, holds the lock that a backend waits for: follow the chain of
-- blockers to those that wait for no lock themselves. Of those only sessions of
-- our own user and services that wait for their client right now.
-- $1 process ID of the waiting backend.
-- Locks: none.
with recursive chain as (
  select unnest(pg_blocking_pids($1::integer)) as pid
  union
  select unnest(pg_blocking_pids(c.pid))
  from chain c
)
select a.pid, a.backend_start, a.state_change
from chain c
join pg_stat_activity a on a.pid = c.pid
where cardinality(pg_blocking_pids(a.pid)) = 0
  and a.usename = session_user
  and a.application_name like 'monedero-%'
  and a.wait_event_type = 'Client'
