-- A hold takes money from what is available and leaves it in the wallet, until captures, releases
-- or its expiry have used it up. What a hold has become is in the rows that refer to it; the table holds
-- is a projection of those that are open, for what has to be found without reading the history.

-- +goose Up
alter table operations
  add column expires_in bigint,
  add column rest text,
  add column held_after bigint;
comment on column operations.expires_in is 'Of a hold: how many seconds it was to be open at most, from its decision on.';
comment on column operations.rest is 'Of a capture: kept, where what it left stays held. Null: it was given back.';
comment on column operations.held_after is 'What open holds kept from being charged after it. Null: nothing.';
comment on column operations.refers_to is 'The operation that it refers to: of a refund the charge or the capture; of a capture, a release and an expire the hold.';
comment on column operations.asker_role is 'Who asked: merchant, client, operator or system.';

-- An invoice is accepted once, as a charge or as the first capture of a hold.
drop index operations_invoice_accepted_key;
create unique index operations_invoice_accepted_key on operations (invoice_key, wallet_id, partition)
  where kind in ('charge', 'capture') and reason is null and invoice_key is not null;
create index operations_holds_idx on operations (partition, wallet_id, invoice_key, sequence) where kind = 'hold' and reason is null;

alter table wallets
  add column held bigint not null default 0,
  add column open_holds bigint not null default 0,
  add constraint wallets_held_check check (held >= 0 and held <= balance + credit_limit and open_holds >= 0 and (held = 0) = (open_holds = 0));
comment on column wallets.held is 'What its open holds keep from being charged.';
comment on column wallets.open_holds is 'How many of its holds are open.';

create table holds (
  expires_at timestamptz not null,
  partition integer not null,
  id uuid not null,
  wallet_id uuid not null,
  merchant_id uuid not null,
  invoice_key uuid,
  primary key (id, partition)
);
comment on table holds is 'The holds that are open: a row comes and goes with each.';
-- The partition comes last, in the primary key too, so that no statement that is given IDs reads all of a partition by it.
-- By expiry it comes first: one that lags is not gone through for others.
create index holds_expires_at_idx on holds (partition, expires_at);
create index holds_wallet_idx on holds (wallet_id, invoice_key, partition);
grant select, insert, delete on holds to monedero_service;

create or replace view movements as
select
  partition, id as operation_id, currency,
  case when kind in ('charge', 'refund', 'capture') then merchant_id else '00000000-0000-0000-0000-000000000000'::uuid end as account_id,
  case kind when 'top_up' then -amount when 'refund' then -moved when 'capture' then moved else amount end as amount
from operations
where reason is null and kind in ('charge', 'top_up', 'withdraw', 'refund', 'capture');
