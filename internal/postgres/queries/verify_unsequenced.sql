-- The next operations of a partition that no wallet knows of.
-- $1 partition, $2 wallet and $3 operation to start behind, $4 last wallet, $5 limit, $6 null, or only those decided
-- since then.
-- Locks: none.
-- Index: operations_wallet_unsequenced_idx.
select
  @operation, o.invoice_key
from operations o
where o.partition = $1 and o.sequence is null and (o.wallet_id, o.id) > ($2::uuid, $3::uuid) and o.wallet_id <= $4
  and ($6::timestamptz is null or o.decided_at >= $6)
order by o.wallet_id, o.id
limit $5
