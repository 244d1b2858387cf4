-- One wallet.
-- $1 partition, $2 wallet ID.
-- Locks: none.
-- Index: wallets_pkey.
select id, client_id, currency, status, charges, balance, credit_limit, held, open_holds, last_sequence, last_digest
from wallets
where partition = $1 and id = $2
