-- Write down a wallet that was opened. It fails where another transaction opened
-- it meanwhile.
-- $1 partition, $2 time of opening, $3 wallet ID, $4 client ID, $5 currency, $6 status, $7 balance, $8 credit limit,
-- $9 last sequence, $10 last digest, $11 what is held, $12 number of open holds, $13 by whom it is charged.
-- Locks: the new row.
insert into wallets (
  opened_at, partition, id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest, held, open_holds, charges
)
values ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
