-- Write down a verification of everything.
-- $1 when it began, $2 operations, $3 violations, $4 who.
-- Locks: the new row.
insert into verifications (verified_at, started_at, operations, violations, verified_by)
values (clock_timestamp(), $1, $2, $3, $4)
