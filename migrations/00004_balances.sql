-- Projections of the history, kept up in the same transactions.

-- +goose Up
create table wallets (
  balance       bigint not null,
  credit_limit  bigint not null default 0,
  last_sequence bigint not null,
  opened_at     timestamptz not null,
  partition     integer not null,
  id            uuid not null,
  client_id     uuid not null,
  currency      text not null,
  status        text not null,
  last_digest   bytea not null,
  constraint wallets_pkey primary key (partition, id),
  constraint wallets_balance_check check (balance >= -credit_limit and balance <= 9007199254740991),
  constraint wallets_credit_limit_check check (credit_limit between 0 and 9007199254740991),
  constraint wallets_last_sequence_check check (last_sequence >= 1),
  constraint wallets_status_check check (status in ('active', 'frozen', 'closed')),
  constraint wallets_currency_check check (octet_length(currency) = 3),
  constraint wallets_last_digest_check check (octet_length(last_digest) = 32)
) with (fillfactor = 50);
comment on table wallets is 'Prepaid money of clients, as each wallet''s last operation left it.';

create index wallets_client_id_idx on wallets (client_id);

create table account_balances (
  partition  integer not null,
  account_id uuid not null,
  currency   text not null,
  balance    numeric not null,
  constraint account_balances_pkey primary key (partition, account_id, currency)
) with (fillfactor = 50);
comment on table account_balances is 'What merchants are owed, and under the zero ID minus what came in: a part of each balance in every partition.';

grant select, insert, update on wallets, account_balances to monedero_service;
