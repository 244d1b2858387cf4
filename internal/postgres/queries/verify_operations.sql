-- The next operations of a partition in the order of each wallet's history, with
-- the wallet's row and, where there is an invoice, its accepted charge or capture and that
-- one's sequence, and the last hold of it, if that was open; where it refers to another, that one, as those before left it. And whether
-- its parts go together.
-- That hold is looked for in an order that only the index of holds has, or a planner may go through the wallet's history instead.
-- $1 partition, $2 wallet and $3 sequence to start behind, $4 last wallet, $5 limit, $6 null, or only wallets of
-- which something was decided since then.
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_invoice_accepted_key, operations_position_key, operations_pkey, operations_refers_to_idx, operations_holds_idx.
select
  @operation,
  @whole, o.invoice_key, w.client_id, w.currency, w.status, w.charges, w.balance, w.credit_limit, w.last_sequence, w.last_digest,
  w.opened_at, w.held, w.open_holds, a.id, a.sequence, h.id, r.kind, r.wallet_id, r.merchant_id, r.reason is null,
  coalesce(l.left_after, r.moved, r.amount, 0), r.invoice, l.kind, t.parts, t.captured, r.mandate_day
from operations o
left join lateral (
  select *
  from wallets
  where partition = $1 and id = o.wallet_id
  limit 1
) w on true
left join lateral (
  select id, sequence
  from operations c
  where c.partition = $1 and c.invoice_key = o.invoice_key and c.wallet_id = o.wallet_id
    and c.kind in ('charge', 'capture') and c.reason is null and c.invoice_key is not null
  order by c.sequence
  limit 1
) a on true
left join lateral (
  select last.id
  from (
    select id, invoice_key
    from operations c
    where c.partition = $1 and c.wallet_id = o.wallet_id and c.kind = 'hold' and c.reason is null
      and (c.invoice_key, c.position) < (o.invoice_key, o.position)
    order by c.invoice_key desc, c.position desc
    limit 1
  ) last
  where last.invoice_key = o.invoice_key and (
    select left_after
    from operations e
    where e.partition = $1 and e.refers_to = last.id and e.refers_to is not null and e.reason is null and e.sequence < o.sequence
    order by e.sequence desc
    limit 1
  ) is distinct from 0
) h on true
left join lateral (
  select kind, wallet_id, merchant_id, reason, moved, amount, invoice, mandate_day
  from operations c
  where c.partition = $1 and c.id = o.refers_to and c.position < o.position
  limit 1
) r on true
left join lateral (
  select left_after, kind
  from operations c
  where c.partition = $1 and c.refers_to = o.refers_to and c.refers_to is not null and c.reason is null and c.sequence < o.sequence
  order by c.sequence desc
  limit 1
) l on true
left join lateral (
  select count(*) as parts, coalesce(bool_or(c.kind = 'capture'), false) as captured
  from operations c
  where c.partition = $1 and c.refers_to = o.refers_to and c.refers_to is not null and c.reason is null and c.sequence < o.sequence
    and r.kind = 'hold'
) t on true
where o.partition = $1 and o.sequence is not null and (o.wallet_id, o.sequence) > ($2::uuid, $3::bigint) and o.wallet_id <= $4
  and ($6::timestamptz is null or o.wallet_id in (
    select s.wallet_id
    from operations s
    where s.partition = $1 and s.decided_at >= $6
  ))
order by o.wallet_id, o.sequence
limit $5
