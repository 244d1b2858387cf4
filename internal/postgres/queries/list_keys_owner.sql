-- A page of a merchant's or a client's API keys, the newest first.
-- $1 rows; behind the one of the time $2 (infinity: the first page) and the ID $3; $4 the owner.
-- Locks: none.
-- Index: api_keys_owner_idx.
select id, role, merchant_id, client_id, name, secret_hash, created_at, expires_at, revoked_at, last_used_at, rate
from api_keys
where coalesce(merchant_id, client_id) = $4 and (created_at, id) < ($2::timestamptz, $3::uuid)
order by created_at desc, id desc
limit $1
