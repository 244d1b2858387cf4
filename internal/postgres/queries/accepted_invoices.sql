-- Which of a batch's invoices were charged already, or have an open hold, and as what. One look-up for
-- each pair: an invoice may have been charged to any number of wallets, so by
-- its key alone it would not be bounded. The limit keeps the planner from
-- turning the look-ups into a join over the whole index. The last column says which are holds: one may have been
-- captured in part, and then there are both.
-- $1 partition, $2 invoice keys, $3 wallet IDs, pair by pair.
-- Locks: none; runs after the wallets are locked.
-- Index: operations_invoice_accepted_key, holds_wallet_idx.
select o.wallet_id, o.invoice_key, o.id, false
from unnest($2::uuid[], $3::uuid[]) as u (invoice_key, wallet_id)
cross join lateral (
  select a.wallet_id, a.invoice_key, a.id
  from operations a
  where a.partition = $1 and a.invoice_key = u.invoice_key and a.wallet_id = u.wallet_id
    and a.kind in ('charge', 'capture') and a.reason is null and a.invoice_key is not null
  limit 1
) o
union all
select h.wallet_id, h.invoice_key, h.id, true
from unnest($2::uuid[], $3::uuid[]) as u (invoice_key, wallet_id)
cross join lateral (
  select wallet_id, invoice_key, id
  from holds
  where partition = $1 and wallet_id = u.wallet_id and invoice_key = u.invoice_key
  limit 1
) h
