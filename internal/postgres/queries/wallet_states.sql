-- The operations after which a wallet's history stood at some sequences, or right before some times, in the order of the
-- lists: all of it null where there was none yet. And what time it is.
-- $1 partition, $2 wallet ID; $3 sequences (null: that of the time) and $4 times, pair by pair.
-- Locks: none.
-- Index: operations_wallet_sequence_key.
select @operation, clock_timestamp()
from (
  select number, coalesce(sequence, sequence_before($1::integer, $2::uuid, before)) as sequence
  from unnest($3::bigint[], $4::timestamptz[]) with ordinality as u (sequence, before, number)
) m
left join lateral (
  select *
  from operations
  where partition = $1 and wallet_id = $2 and sequence = m.sequence and sequence is not null
  limit 1
) o on true
order by m.number
