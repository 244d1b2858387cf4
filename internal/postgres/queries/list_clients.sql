-- A page of clients, the newest first.
-- $1 rows; behind the one of the time $2 (infinity: the first page) and the ID $3.
-- Locks: none.
-- Index: clients_created_idx.
select id, name, created_at
from clients
where (created_at, id) < ($2::timestamptz, $3::uuid)
order by created_at desc, id desc
limit $1
