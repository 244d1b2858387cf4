-- Begin another history: the database was restored, and what is settled from now on
-- is not what was settled before. Run by the owner.
-- $1 the highest history that is known outside of the database.
-- Locks: the deployment's row.
update deployment d
set history = greatest(b.history, $1) + 1
from (select history from deployment for update) b
returning b.history, d.history
