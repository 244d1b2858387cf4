-- Record that a person changed what the database belongs to.
-- $1 what was changed, $2 before, $3 after, $4 who, $5 why.
-- Locks: the new row.
insert into deployment_changes (what, from_value, to_value, changed_by, reason)
values ($1, $2, $3, $4, $5)
