-- The version of the schema: the last migration that was applied.
-- Locks: none.
select coalesce(max(version_id), 0)
from goose_db_version
where is_applied
