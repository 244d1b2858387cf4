-- A page of what people changed of one thing, the newest first.
-- $1 rows; before the time $2 (infinity: the first page) and the ID $3; $4 what they are about.
-- Locks: none.
-- Index: changes_about_idx.
select id, at, role, owner, key_id, person, reason, request_id, login, action, about, operation_id, before, after
from changes
where about = $4 and (at, id) < ($2::timestamptz, $3::uuid)
order by at desc, id desc
limit $1
