-- What a new session is: its backend, whom it works as, where it looks for tables
-- (empty: there is no such schema), and the settings that durability hangs on.
-- Locks: none.
select pg_backend_pid(), current_user, coalesce(current_schema(), ''),
       current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')
