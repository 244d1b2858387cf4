-- The history: the sole truth of what happened to wallets.

-- +goose Up
create table operations (
  log_offset      bigint,
  sequence        bigint,
  amount          bigint,
  balance_after   bigint,
  received_at     timestamptz,
  decided_at      timestamptz not null,
  apply_before    timestamptz,
  partition       integer not null,
  log             integer,
  id              uuid not null,
  wallet_id       uuid not null,
  merchant_id     uuid,
  client_id       uuid,
  duplicate_of    uuid,
  kind            text,
  reason          text,
  currency        text,
  status_after    text,
  fingerprint     bytea not null,
  digest          bytea not null,
  idempotency_key text,
  invoice         text,
  invoice_key     bytea,
  description     text,
  metadata        text,
  constraint operations_pkey primary key (partition, id),
  constraint operations_place_check check (
    (log is null) = (log_offset is null) and log >= 1 and log_offset >= 0
  ),
  constraint operations_sequence_check check (
    (sequence is null) = (balance_after is null) and (sequence is null) = (status_after is null) and sequence >= 1
  ),
  constraint operations_amount_check check (amount between 1 and 9007199254740991),
  constraint operations_kind_check check (
    kind in ('open', 'top_up', 'charge', 'freeze', 'unfreeze', 'close')
  ),
  constraint operations_reason_check check (
    reason in ('expired', 'wallet_not_found', 'merchant_not_found', 'merchant_suspended', 'self_charge_not_allowed',
      'wallet_closed', 'wallet_frozen', 'currency_mismatch', 'duplicate_invoice', 'wallet_not_empty',
      'insufficient_funds', 'amount_overflow', 'processing_error')
  ),
  constraint operations_bare_check check (
    (kind is not null and received_at is not null) or reason is not distinct from 'processing_error'
  ),
  constraint operations_duplicate_of_check check (
    (duplicate_of is not null) = (reason is not distinct from 'duplicate_invoice')
  ),
  constraint operations_status_after_check check (status_after in ('active', 'frozen', 'closed')),
  constraint operations_currency_check check (octet_length(currency) = 3),
  constraint operations_hash_check check (octet_length(fingerprint) = 32 and octet_length(digest) = 32),
  constraint operations_text_check check (
    idempotency_key <> '' and invoice <> '' and description <> '' and metadata <> ''
  ),
  constraint operations_invoice_key_check check (
    (invoice is null) = (invoice_key is null) and octet_length(invoice_key) = 16
  )
);
comment on table operations is 'What was asked of wallets and what came of it: append-only, sealed by digests, the source of every balance.';
comment on column operations.partition is 'Bucket of the wallet mod number of partitions.';
comment on column operations.log is 'Number of the log that the record came from; null: direct, no record.';
comment on column operations.kind is 'Null only where the record''s kind is not one of ours.';
comment on column operations.reason is 'Why it failed; null: accepted.';
comment on column operations.sequence is 'Place in the wallet''s history, 1, 2, 3 ...; null: the wallet does not know of it.';
comment on column operations.invoice_key is 'First 16 bytes of a hash of merchant and invoice.';
comment on column operations.metadata is 'Canonical JSON, as text: what was sealed is what is read.';

-- The history of a wallet, and the guard of its order. In two parts that never
-- hold the same row: as one index it would pass, while the table is small, for a
-- way to find an ID in a partition, and that plan would be kept.
create unique index operations_wallet_sequence_key on operations (partition, wallet_id, sequence)
  where sequence is not null;
create index operations_wallet_unsequenced_idx on operations (partition, wallet_id, id)
  where sequence is null;
-- A merchant's operations, newest first.
create index operations_merchant_idx on operations (merchant_id, decided_at, id) where merchant_id is not null;
-- An invoice is accepted once in a wallet. The two indexes on invoices never hold the same row.
create unique index operations_invoice_accepted_key on operations (invoice_key, wallet_id, partition)
  where kind = 'charge' and reason is null and invoice_key is not null;
create index operations_invoice_failed_idx on operations (invoice_key)
  where reason is not null and invoice_key is not null;
-- A window of time.
create index operations_decided_at_idx on operations using brin (decided_at);

-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'restrict_violation';
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
do $$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'citus') then
    perform set_config('citus.enable_unsafe_triggers', 'on', true);
  end if;
end
$$;
-- +goose StatementEnd

create trigger operations_refuse_change before update or delete on operations
  for each row execute function refuse_change();
create trigger operations_refuse_truncate before truncate on operations
  for each statement execute function refuse_change();

grant select, insert on operations to monedero_service;
