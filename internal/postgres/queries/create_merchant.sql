-- Make a merchant. No row: there is one with this ID.
-- $1 merchant ID, $2 owner or null, $3 name, $4 suspended, $5 time.
-- Locks: the new row; the owner's, shared.
-- Index: merchants_pkey.
insert into merchants (id, owner, name, suspended, created_at)
values ($1, $2, $3, $4, $5)
on conflict (id) do nothing
returning id
