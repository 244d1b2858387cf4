-- Bind the database to a topic. Nothing happens where it is bound already.
-- $1 topic, $2 partitions, $3 cluster ID, $4 check value of the secret, $5 consumer group.
-- Locks: the new row.
insert into deployment (topic, partitions, cluster_id, secret_check, consumer_group)
values ($1, $2, $3, $4, $5)
on conflict (one_row) do nothing
