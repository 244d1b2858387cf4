-- Bookkeeping of the log: what is read, by whom, and what was no operation.

-- +goose Up
create table deployment (
  partitions   integer not null,
  one_row      boolean not null default true,
  topic        text not null,
  cluster_id   text not null,
  secret_check bytea not null,
  constraint deployment_pkey primary key (one_row),
  constraint deployment_one_row_check check (one_row),
  constraint deployment_partitions_check check (
    partitions >= 1 and partitions <= 65536 and (partitions & (partitions - 1)) = 0
  ),
  constraint deployment_secret_check_check check (octet_length(secret_check) = 16)
);
comment on table deployment is 'The one topic that this database belongs to, and a check value of the secret behind the IDs.';

create table partition_progress (
  first_offset bigint not null default 0,
  next_offset  bigint not null default 0,
  epoch        bigint not null default 0,
  settled      bigint not null default 0,
  duplicates   bigint not null default 0,
  conflicts    bigint not null default 0,
  dead         bigint not null default 0,
  gaps         bigint not null default 0,
  updated_at   timestamptz not null default now(),
  partition    integer not null,
  log          integer not null default 1,
  topic        text not null,
  owner        text,
  last_record  bytea,
  constraint partition_progress_pkey primary key (partition),
  constraint partition_progress_log_check check (log >= 1),
  constraint partition_progress_offset_check check (first_offset >= 0 and next_offset >= first_offset),
  constraint partition_progress_counts_check check (
    settled + duplicates + conflicts + dead + gaps = next_offset - first_offset
    and settled >= 0 and duplicates >= 0 and conflicts >= 0 and dead >= 0 and gaps >= 0
  ),
  constraint partition_progress_last_record_check check (octet_length(last_record) = 32)
) with (fillfactor = 20);
comment on table partition_progress is 'How far each partition is settled, under which claim, and what became of every offset since first_offset.';
comment on column partition_progress.last_record is 'Hash of the record at next_offset - 1; null: no record there, nothing to compare.';

create table dead_letters (
  log_offset   bigint not null,
  record_time  timestamptz,
  created_at   timestamptz not null default now(),
  partition    integer not null,
  log          integer not null,
  operation_id uuid,
  key          bytea,
  value        bytea,
  headers      jsonb not null,
  reason       text not null,
  constraint dead_letters_pkey primary key (partition, log, log_offset)
);
comment on table dead_letters is 'Records that could not be decided, as they came.';
comment on column dead_letters.headers is 'In order, each {"key", "value"}, both in base64.';
comment on column dead_letters.record_time is 'Null where the record''s time is none that a timestamp can hold.';
comment on column dead_letters.operation_id is 'The failed operation, or the conflict, recorded beside it; null: the record is no operation.';

create table conflicts (
  log_offset   bigint not null,
  created_at   timestamptz not null default now(),
  partition    integer not null,
  log          integer not null,
  operation_id uuid not null,
  fingerprint  bytea not null,
  constraint conflicts_pkey primary key (partition, log, log_offset),
  constraint conflicts_fingerprint_check check (octet_length(fingerprint) = 32)
);
comment on table conflicts is 'Requests that came under the ID of another operation: they had no effect.';

create index conflicts_operation_id_idx on conflicts (partition, operation_id);

grant select on deployment to monedero_service;
grant select, update on partition_progress to monedero_service;
grant select, insert on dead_letters, conflicts to monedero_service;
