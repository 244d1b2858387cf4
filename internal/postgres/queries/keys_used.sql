-- Note when API keys were last used; an earlier time than the one on record
-- changes nothing.
-- Arrays: $1 key IDs, $2 times.
-- Locks: the keys' rows, in the order of their IDs.
-- Index: api_keys_pkey.
with locked as (
  select id
  from api_keys
  where id = any($1::uuid[])
  order by id
  for no key update
)
update api_keys k
set last_used_at = greatest(k.last_used_at, u.at)
from locked l
join unnest($1::uuid[], $2::timestamptz[]) as u (id, at) on u.id = l.id
where k.id = l.id
