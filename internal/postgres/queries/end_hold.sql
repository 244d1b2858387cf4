-- Remove a hold that a batch ended. Given a list, a planner without statistics reads all open holds.
-- $1 partition, $2 hold ID.
-- Locks: the row.
-- Index: holds_pkey.
delete from holds
where partition = $1 and id = $2
