-- The topic that this database belongs to.
-- Locks: none.
select topic, partitions, cluster_id, secret_check, consumer_group
from deployment
