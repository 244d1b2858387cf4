-- Begin another history: the database was restored, and what is settled from now on
-- is not what was settled before. Run by the owner.
-- $1 the highest history that is known outside of the database.
-- Locks: the deployment's row.
update deployment
set history = greatest(history, $1) + 1
returning history
