-- End a session that holds a lock and waits for its client.
-- $1 process ID, $2 start of the backend, $3 its last change of state, as they were seen before.
-- Locks: none.
select pg_terminate_backend(a.pid)
from pg_stat_activity a
where a.pid = $1::integer and a.backend_start = $2 and a.state_change = $3 and a.wait_event_type = 'Client'
