-- Operations that have an outcome, whose wallets they are, what their merchants are called now,
-- and how many other requests came under their IDs. One look-up for each.
-- $1 partitions, $2 operation IDs, pair by pair.
-- Locks: none.
-- Index: operations_pkey.
select
  @decided
from unnest($1::integer[], $2::uuid[]) as u (partition, id)
cross join lateral (
  select *
  from operations
  where partition = u.partition and id = u.id
  limit 1
) o
