-- The next operations of a partition that no wallet knows of; where one refers to another, that one. And whether
-- its parts go together. It moved nothing, for there was no wallet.
-- $1 partition, $2 wallet and $3 operation to start behind, $4 last wallet, $5 limit, $6 null, or only those decided
-- since then.
-- Locks: none.
-- Index: operations_wallet_unsequenced_idx, operations_pkey.
select
  @operation, @whole, o.invoice_key, r.kind, r.wallet_id, r.merchant_id, r.reason is null, coalesce(r.amount, 0), null::text,
  null::text, 0::bigint, false, null::integer
from operations o
left join lateral (
  select kind, wallet_id, merchant_id, reason, amount
  from operations c
  where c.partition = $1 and c.id = o.refers_to and c.position < o.position
  limit 1
) r on true
where o.partition = $1 and o.sequence is null and (o.wallet_id, o.id) > ($2::uuid, $3::uuid) and o.wallet_id <= $4
  and ($6::timestamptz is null or o.decided_at >= $6)
order by o.wallet_id, o.id
limit $5
