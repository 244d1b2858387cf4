-- Store one more charge of each of a share of the wallets in bench_wallets, as if
-- they had come in the order of their decisions. A charge in 33 failed.
-- $1 how many charges each wallet has already, $2 number of shares, $3 which share, $4 number of wallets,
-- $5 merchants.
insert into operations (
  log_offset, sequence, amount, balance_after, received_at, decided_at, partition, log, id, wallet_id, merchant_id,
  kind, reason, currency, status_after, fingerprint, digest, idempotency_key, invoice, invoice_key,
  position, seal, limit_after, merchant_state, asker_role, asker_id, asker_key
)
select
  c.n, w.first_sequence + $1::bigint, 1 + c.n % 5000, 1000000000, c.at, c.at, w.partition, 1,
  (w.bucket || substr(c.hash, 5))::uuid, w.id, c.merchant, 'charge', case when c.n % 33 = 0 then 'insufficient_funds' end,
  'EUR', 'active', c.seal, c.seal, c.hash, c.invoice,
  encode(substr(sha256(convert_to(c.merchant::text || c.invoice, 'UTF8')), 1, 16), 'hex')::uuid,
  1000000000 + c.n, 3, 0, 'active', 'merchant', c.merchant, c.merchant
from bench_wallets w
cross join lateral (
  select $1::bigint * $4::bigint + w.n as n, md5(w.id::text || $1::text) as hash,
    now() - interval '30 days' + ($1::bigint * $4::bigint + w.n) * interval '1 millisecond' as at,
    ($5::uuid[])[1 + w.n % cardinality($5::uuid[])] as merchant, 'INV-OLD-' || ($1::bigint * $4::bigint + w.n) as invoice,
    sha256(convert_to(w.id::text || $1::text, 'UTF8')) as seal
  offset 0 -- each of them computed once
) c
where w.n % $2::bigint = $3::bigint
order by w.n
