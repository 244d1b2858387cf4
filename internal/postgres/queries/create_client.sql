-- Make a client. No row: there is one with this ID.
-- $1 client ID, $2 name, $3 time.
-- Locks: the new row.
-- Index: clients_pkey.
insert into clients (id, name, created_at)
values ($1, $2, $3)
on conflict (id) do nothing
returning id
