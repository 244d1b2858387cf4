-- The rows are read through while others read and write them.

-- +goose Up
alter table operations validate constraint operations_check;
alter table wallets validate constraint wallets_check;
