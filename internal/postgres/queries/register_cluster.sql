-- Let the database belong to another cluster. No row: it does not belong to the one
-- before.
-- $1 the cluster before, $2 the cluster.
-- Locks: the row.
-- Index: deployment_pkey.
update deployment
set cluster_id = $2
where one_row and cluster_id = $1
