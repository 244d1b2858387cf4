-- A page of wallets, the newest first, and when each was opened.
-- $1 rows; behind the one of the time $2 (infinity: the first page) and the ID $3.
-- Locks: none.
-- Index: wallets_opened_idx.
select id, client_id, currency, status, charges, balance, credit_limit, held, open_holds, last_sequence, last_digest, opened_at
from wallets
where (opened_at, id) < ($2::timestamptz, $3::uuid)
order by opened_at desc, id desc
limit $1
