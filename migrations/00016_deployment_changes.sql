-- What a person changed of the deployment, and why.

-- +goose Up
create table deployment_changes (
  changed_at timestamptz not null default clock_timestamp(),
  what       text not null,
  from_value text not null,
  to_value   text not null,
  changed_by text not null,
  login      text not null default session_user,
  reason     text not null,
  constraint deployment_changes_pkey primary key (changed_at, what),
  constraint deployment_changes_text_check check (what <> '' and changed_by <> '' and reason <> '')
);
comment on table deployment_changes is 'When a person changed what this database belongs to, from what to what, and why: append-only.';

create trigger deployment_changes_refuse_change before update or delete on deployment_changes
  for each row execute function refuse_change();
create trigger deployment_changes_refuse_truncate before truncate on deployment_changes
  for each statement execute function refuse_change();

grant select on deployment_changes to monedero_service;
