-- The consumer group is part of the deployment; and triggers find their functions
-- whatever the search_path: pg_restore leaves it empty.

-- +goose Up
alter table deployment add column consumer_group text not null default 'monedero-processor';
alter table deployment alter column consumer_group drop default;
comment on column deployment.consumer_group is 'The consumer group of the processors: two groups would take every partition from each other for ever.';

alter function seal_dead_letter() set search_path = pg_catalog, public;
alter function seal_conflict() set search_path = pg_catalog, public;
alter function seal_resolution() set search_path = pg_catalog, public;
