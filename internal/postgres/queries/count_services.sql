-- How many sessions of services there are in this database.
-- Locks: none.
select count(*)
from pg_stat_activity
where datname = current_database() and application_name in ('monedero-ingest', 'monedero-processor')
