-- To how many merchants a wallet ever gave a mandate.
-- $1 partition, $2 wallet ID.
-- Locks: none; runs after the wallet is locked.
-- Index: mandates_pkey.
select count(*)
from mandates
where partition = $1 and wallet_id = $2
