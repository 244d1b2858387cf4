-- When everything was verified, and what came of it.

-- +goose Up
create table verifications (
  verified_at timestamptz not null,
  started_at  timestamptz not null,
  operations  bigint not null,
  violations  bigint not null,
  verified_by text not null,
  constraint verifications_pkey primary key (verified_at),
  constraint verifications_counts_check check (operations >= 0 and violations >= 0)
);
comment on table verifications is 'Each run of monedero verify over everything: a metric tells how long ago the last one was.';

grant select, insert on verifications to monedero_service;
grant select on goose_db_version to monedero_service;
