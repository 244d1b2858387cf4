-- Make an API key. No row: there is one with this ID.
-- $1 key ID, $2 role, $3 merchant ID or null, $4 client ID or null, $5 name, $6 hash of the secret, $7 time, $8 expiry
-- or null, $9 time of revocation or null, $10 rate or null.
-- Locks: the new row; the merchant's or the client's, shared.
-- Index: api_keys_pkey.
insert into api_keys (id, role, merchant_id, client_id, name, secret_hash, created_at, expires_at, revoked_at, rate)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (id) do nothing
returning id
