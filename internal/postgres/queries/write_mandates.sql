-- Write down what a batch left of mandates, one look-up for each.
-- $1 partition, then arrays: $2 wallet IDs, $3 merchant IDs, $4 whether it is given, limits (0: none) $5 of one, $6 a day,
-- $7 a month, $8 in all, $9 valid until, $10 day, used $11 on it, $12 in its month, $13 in all.
-- Locks: the mandates' rows; nobody else holds any while the wallets are locked.
-- Index: mandates_pkey.
insert into mandates (
  partition, wallet_id, merchant_id, given, max_amount, per_day, per_month, total, valid_until, day, used_on_day, used_in_month, used
)
select
  $1, wallet_id, merchant_id, given, nullif(max_amount, 0), nullif(per_day, 0), nullif(per_month, 0), nullif(total, 0), valid_until, day,
  used_on_day, used_in_month, used
from unnest(
  $2::uuid[], $3::uuid[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::timestamptz[], $10::integer[],
  $11::bigint[], $12::bigint[], $13::bigint[]
) as u (
  wallet_id, merchant_id, given, max_amount, per_day, per_month, total, valid_until, day, used_on_day, used_in_month, used
)
on conflict (wallet_id, merchant_id, partition) do update
set given = excluded.given, max_amount = excluded.max_amount, per_day = excluded.per_day, per_month = excluded.per_month,
  total = excluded.total, valid_until = excluded.valid_until, day = excluded.day, used_on_day = excluded.used_on_day,
  used_in_month = excluded.used_in_month, used = excluded.used
