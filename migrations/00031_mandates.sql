-- A wallet is charged by anyone, or by merchants that its owner gave a mandate. Grants, revocations and all that used a
-- mandate are in the history; the table mandates is a projection of it, for what has to be found without reading that.

-- +goose Up
alter table operations
  add column charges text,
  add column max_amount bigint,
  add column per_day bigint,
  add column per_month bigint,
  add column total bigint,
  add column valid_until timestamptz,
  add column mandate_day integer,
  add column mandate_limit text;
comment on column operations.charges is 'Of an open: mandated, where only merchants with a mandate may charge the wallet. Null: anyone may.';
comment on column operations.max_amount is 'Of a grant: the most of one charge or hold. Null: no limit.';
comment on column operations.per_day is 'Of a grant: the most of a day.';
comment on column operations.per_month is 'Of a grant: the most of a month.';
comment on column operations.total is 'Of a grant: the most in all.';
comment on column operations.valid_until is 'Of a grant: from when on it lets nothing through.';
comment on column operations.mandate_day is 'Of a charge or a hold that used a mandate: for which day, since 1970-01-01, in UTC.';
comment on column operations.mandate_limit is 'Of a mandate_limit_exceeded: which. What it would have let through is in left_after.';
comment on column operations.left_after is 'How much of what it refers to could still be moved after it; or how much a mandate would have let through.';

-- What a merchant is told of an invoice goes by position: whether its attempts have a sequence, it must not learn.
drop index operations_invoice_failed_idx;
create index operations_invoice_failed_idx on operations (invoice_key, wallet_id, position) where reason is not null and invoice_key is not null;
drop index operations_holds_idx;
create index operations_holds_idx on operations (partition, wallet_id, invoice_key, position) where kind = 'hold' and reason is null;

alter table wallets add column charges text constraint wallets_charges_check check (charges = 'mandated');
comment on column wallets.charges is 'Mandated: only merchants with a mandate may charge it. Null: anyone may.';

create table mandates (
  valid_until timestamptz,
  max_amount bigint,
  per_day bigint,
  per_month bigint,
  total bigint,
  used_on_day bigint not null,
  used_in_month bigint not null,
  used bigint not null,
  partition integer not null,
  day integer not null,
  wallet_id uuid not null,
  merchant_id uuid not null,
  given boolean not null,
  constraint mandates_used_check check (used_on_day >= 0 and used_in_month >= used_on_day and used >= used_in_month and used <= 9007199254740991),
  primary key (wallet_id, merchant_id, partition)
) with (fillfactor = 50);
comment on table mandates is 'What owners of wallets let merchants take, and what was used of it: a row for each mandate that was ever given.';
comment on column mandates.given is 'False: it was revoked.';
comment on column mandates.day is 'The last day that something counts for, since 1970-01-01, in UTC; 0: none does.';
-- The partition comes last, so that no statement that is given IDs reads all of a partition by it.
grant select, insert, update on mandates to monedero_service;
