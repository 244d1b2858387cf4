-- The operations at positions of partitions, in the order of the list. It ends behind the
-- row with which their texts reach so many bytes.
-- $1 rows, $2 bytes; $3 partitions, $4 positions, pair by pair.
-- Locks: none.
-- Index: operations_position_key.
with page as (
  select o.*, u.number, true as found, false as ends
  from unnest($3::integer[], $4::bigint[]) with ordinality as u (partition, position, number)
  cross join lateral (
    select *
    from operations
    where partition = u.partition and position = u.position
    limit 1
  ) o
)
@page(number)
