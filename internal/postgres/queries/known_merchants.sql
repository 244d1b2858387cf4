-- The merchants of a batch.
-- $1 merchant IDs.
-- Locks: none.
-- Index: merchants_pkey.
select id, owner, suspended
from merchants
where id = any($1::uuid[])
