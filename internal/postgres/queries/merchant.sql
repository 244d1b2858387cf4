-- One merchant.
-- $1 merchant ID.
-- Locks: none.
-- Index: merchants_pkey.
select id, owner, name, suspended, created_at
from merchants
where id = $1
