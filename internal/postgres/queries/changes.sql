-- A page of what people changed, the newest first.
-- $1 rows; before the time $2 (infinity: the first page) and the ID $3.
-- Locks: none.
-- Index: changes_at_idx.
select id, at, role, owner, key_id, person, reason, request_id, login, action, about, operation_id, before, after
from changes
where (at, id) < ($2::timestamptz, $3::uuid)
order by at desc, id desc
limit $1
