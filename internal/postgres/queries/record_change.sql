-- Write down what somebody changed that is no operation, in the transaction that changes it.
-- $1 partition, -1: of none; $2 role, $3 owner or null, $4 key or null, $5 person or null, $6 reason or null, $7 request ID or null,
-- $8 action, $9 what it is about, $10 operation or null, $11 before and $12 after, null: nothing.
-- Locks: the new row; the end of its chain.
insert into changes (chain, role, owner, key_id, person, reason, request_id, action, about, operation_id, before, after)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
