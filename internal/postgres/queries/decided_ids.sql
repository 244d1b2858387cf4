-- Which operations of one partition have an outcome. Most of those asked for have
-- none yet: then this costs a third of reading them by decided.sql.
-- $1 partition, $2 operation IDs.
-- Locks: none.
-- Index: operations_pkey.
select id
from operations
where partition = $1 and id = any($2::uuid[])
