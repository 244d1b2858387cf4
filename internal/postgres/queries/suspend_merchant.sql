-- Suspend a merchant, or resume it. No row: it is so already, or there is none.
-- $1 merchant ID, $2 whether it is to be suspended.
-- Locks: the row.
-- Index: merchants_pkey.
update merchants
set suspended = $2
where id = $1 and suspended <> $2
