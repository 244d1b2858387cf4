-- The newest operations of partitions, each below a position: their positions and times alone.
-- $1 partitions, $2 positions, $3 rows, three by three.
-- Locks: none.
-- Index: operations_position_key.
select u.partition, o.position, o.decided_at
from unnest($1::integer[], $2::bigint[], $3::integer[]) as u (partition, position, rows)
cross join lateral (
  select position, decided_at
  from operations
  where partition = u.partition and position < u.position
  order by position desc
  limit u.rows
) o
order by u.partition, o.position desc
