-- Every wallet of a client, oldest first.
-- $1 client ID.
-- Locks: none.
-- Index: wallets_client_id_idx.
select id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest
from wallets
where client_id = $1
order by opened_at, id
