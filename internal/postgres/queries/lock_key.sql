-- One API key, to end it.
-- $1 key ID.
-- Locks: the row.
-- Index: api_keys_pkey.
select id, role, merchant_id, client_id, name, secret_hash, created_at, expires_at, revoked_at, last_used_at, rate
from api_keys
where id = $1
for no key update
