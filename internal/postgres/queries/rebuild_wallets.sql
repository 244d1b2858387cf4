-- Make every wallet of a partition anew, in place, from its first and its last
-- operation, and from its open holds: from one wallet to the next by the index, whatever lies between. Returns how many there are, and how many were
-- not as they should be.
-- $1 partition.
-- Locks: the wallets that change; nobody else holds any while the progress row is held.
-- Index: operations_wallet_sequence_key, wallets_pkey.
with recursive known as (
  (
    select wallet_id
    from operations
    where partition = $1 and sequence is not null
    order by wallet_id
    limit 1
  )
  union all
  select (
    select o.wallet_id
    from operations o
    where o.partition = $1 and o.sequence is not null and o.wallet_id > known.wallet_id
    order by o.wallet_id
    limit 1
  )
  from known
  where known.wallet_id is not null
),
made as (
  select
    last.balance_after as balance, coalesce(last.held_after, 0) as held, (
      select count(*)
      from holds h
      where h.partition = $1 and h.wallet_id = known.wallet_id
    ) as open_holds, last.limit_after as credit_limit, last.sequence as last_sequence, opened.decided_at as opened_at,
    $1::integer as partition, known.wallet_id as id, opened.client_id, opened.currency, opened.charges, last.status_after as status,
    last.digest as last_digest
  from known
  cross join lateral (
    select decided_at, client_id, currency, charges
    from operations
    where partition = $1 and wallet_id = known.wallet_id and sequence is not null
    order by sequence
    limit 1
  ) opened
  cross join lateral (
    select balance_after, held_after, limit_after, sequence, status_after, digest
    from operations
    where partition = $1 and wallet_id = known.wallet_id and sequence is not null
    order by sequence desc
    limit 1
  ) last
  where known.wallet_id is not null
),
written as (
  insert into wallets as w (
    balance, held, open_holds, credit_limit, last_sequence, opened_at, partition, id, client_id, currency, status, last_digest, charges
  )
  select balance, held, open_holds, credit_limit, last_sequence, opened_at, partition, id, client_id, currency, status, last_digest, charges
  from made
  on conflict (partition, id) do update
  set balance = excluded.balance, held = excluded.held, open_holds = excluded.open_holds, credit_limit = excluded.credit_limit, last_sequence = excluded.last_sequence,
    opened_at = excluded.opened_at, client_id = excluded.client_id, currency = excluded.currency, status = excluded.status,
    last_digest = excluded.last_digest, charges = excluded.charges
  where (
    w.balance, w.held, w.open_holds, w.credit_limit, w.last_sequence, w.opened_at, w.client_id, w.currency, w.status, w.last_digest, w.charges
  ) is distinct from (
    excluded.balance, excluded.held, excluded.open_holds, excluded.credit_limit, excluded.last_sequence, excluded.opened_at, excluded.client_id,
    excluded.currency, excluded.status, excluded.last_digest, excluded.charges
  )
  returning 1
),
removed as (
  delete from wallets w
  where w.partition = $1 and not exists (select 1 from made where made.id = w.id)
  returning 1
)
select (select count(*) from made), (select count(*) from written) + (select count(*) from removed)
