-- A page of a client's wallets, oldest first, and when each was opened.
-- $1 client ID, $2 rows; after the wallet opened at $3 (-infinity: the first page) with $4 ID.
-- Locks: none.
-- Index: wallets_client_idx.
select id, client_id, currency, status, charges, balance, credit_limit, held, open_holds, last_sequence, last_digest, opened_at
from wallets
where client_id = $1 and (opened_at, id) > ($3::timestamptz, $4::uuid)
order by opened_at, id
limit $2
