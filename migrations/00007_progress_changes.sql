-- Every move of a progress that a person made, and why.

-- +goose Up
create table progress_changes (
  changed_at  timestamptz not null default now(),
  from_offset bigint,
  to_offset   bigint not null,
  epoch       bigint not null,
  failed      bigint not null,
  dead        bigint not null,
  partition   integer not null,
  from_log    integer,
  to_log      integer not null,
  changed_by  text not null,
  login       text not null default session_user,
  reason      text not null,
  constraint progress_changes_pkey primary key (partition, epoch),
  constraint progress_changes_from_check check (
    (from_log is null) = (from_offset is null) and from_log >= 1 and from_offset >= 0
  ),
  constraint progress_changes_to_check check (to_log >= 1 and to_offset >= 0 and epoch >= 1),
  constraint progress_changes_counts_check check (failed >= 0 and dead >= 0),
  constraint progress_changes_text_check check (changed_by <> '' and reason <> '')
);
comment on table progress_changes is 'When a person moved the progress of a partition, from where to where, and why: append-only.';
comment on column progress_changes.from_offset is 'Null: the partition had no progress.';
comment on column progress_changes.epoch is 'The epoch that the move raised the partition to.';
comment on column progress_changes.failed is 'How many records that were passed over became failed operations.';
comment on column progress_changes.dead is 'How many records that were passed over became dead letters and nothing else.';
comment on column progress_changes.changed_by is 'Who ran the command, and where.';
comment on column progress_changes.login is 'As whom the command logged in to the database.';

-- +goose StatementBegin
do $$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'citus') then
    perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
    perform set_config('citus.enable_unsafe_triggers', 'on', true);
    perform create_distributed_table('progress_changes', 'partition', colocate_with => 'operations');
  end if;
end
$$;
-- +goose StatementEnd

create trigger progress_changes_refuse_change before update or delete on progress_changes
  for each row execute function refuse_change();
create trigger progress_changes_refuse_truncate before truncate on progress_changes
  for each statement execute function refuse_change();

grant select on progress_changes to monedero_service;
