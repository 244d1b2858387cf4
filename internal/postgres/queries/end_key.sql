-- Say when an API key expires, and when it was revoked.
-- $1 key ID, $2 expiry or null, $3 time of revocation or null.
-- Locks: the row.
-- Index: api_keys_pkey.
update api_keys
set expires_at = $2, revoked_at = $3
where id = $1
