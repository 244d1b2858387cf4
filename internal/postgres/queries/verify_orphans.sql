-- Wallets of a partition that no operation made.
-- $1 partition, $2 null, or only this wallet.
-- Locks: none.
-- Index: wallets_pkey, operations_wallet_sequence_key.
select w.id
from wallets w
where w.partition = $1 and ($2::uuid is null or w.id = $2) and not exists (
  select 1
  from operations o
  where o.partition = $1 and o.wallet_id = w.id and o.sequence is not null
)
