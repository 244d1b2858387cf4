-- One client.
-- $1 client ID.
-- Locks: none.
-- Index: clients_pkey.
select id, name, created_at
from clients
where id = $1
