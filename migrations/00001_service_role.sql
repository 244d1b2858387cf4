-- Two roles. The owner migrates. Services run as monedero_service, which owns
-- nothing and cannot log in: a service logs in as any member of it and switches.

-- +goose Up
-- +goose StatementBegin
do $$
begin
  -- In another encoding good charges would fail for a letter that it lacks.
  -- SQL_ASCII keeps bytes as they are.
  if current_setting('server_encoding') not in ('UTF8', 'SQL_ASCII') then
    raise exception 'the database is encoded in %, it must be UTF8', current_setting('server_encoding');
  end if;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'monedero_service') then
    create role monedero_service nologin;
  end if;
exception
  -- Roles belong to the whole cluster: another database's migration was faster.
  when duplicate_object or unique_violation then null;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
do $$
begin
  -- From PostgreSQL 16 on, membership does not imply that one may switch.
  if not pg_has_role(current_user, 'monedero_service',
       case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end) then
    execute format('grant monedero_service to %I', current_user);
  end if;
exception
  when unique_violation then null;
end
$$;
-- +goose StatementEnd

grant usage on schema public to monedero_service;
