-- What a batch's operations refer to, and how much of it can still be moved: as the last
-- accepted one that refers to it left it, or all of it. Of a hold, whose parts are few, what they were. One look-up for each.
-- $1 partition, $2 operation IDs.
-- Locks: none; runs after the wallets are locked.
-- Index: operations_pkey, operations_refers_to_idx.
select
  o.id, o.kind, o.wallet_id, o.merchant_id, o.reason is null, coalesce(l.left_after, o.moved, o.amount, 0), o.invoice, l.kind, h.parts,
  h.captured, o.mandate_day
from unnest($2::uuid[]) as u (id)
cross join lateral (
  select id, kind, wallet_id, merchant_id, reason, moved, amount, invoice, mandate_day
  from operations
  where partition = $1 and id = u.id
  limit 1
) o
left join lateral (
  select left_after, kind
  from operations
  where partition = $1 and refers_to = u.id and refers_to is not null and reason is null
  order by sequence desc
  limit 1
) l on true
left join lateral (
  select count(*) as parts, coalesce(bool_or(kind = 'capture'), false) as captured
  from operations
  where partition = $1 and refers_to = u.id and refers_to is not null and reason is null and o.kind = 'hold'
) h on true
