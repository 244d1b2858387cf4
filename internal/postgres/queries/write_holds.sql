-- Write down the holds that a batch opened and left open.
-- $1 partition, then arrays: $2 hold IDs, $3 wallet IDs, $4 merchant IDs, $5 invoice keys, $6 times of expiry.
-- Locks: the new rows.
insert into holds (expires_at, partition, id, wallet_id, merchant_id, invoice_key)
select u.expires_at, $1, u.id, u.wallet_id, u.merchant_id, u.invoice_key
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[]) as u (id, wallet_id, merchant_id, invoice_key, expires_at)
