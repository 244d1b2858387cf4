-- What people did about dead letters; and seals, so that a dead letter, a
-- conflict or a resolution that was changed by hand is found.

-- +goose Up
-- +goose StatementBegin
create function dead_letter_digest(
  partition integer, log integer, log_offset bigint, record_time timestamptz, created_at timestamptz, operation_id uuid,
  key bytea, value bytea, headers jsonb, reason text
) returns bytea language sql stable as $$
  select sha256(convert_to(concat_ws('|', 'monedero dead letter 1', $1, $2, $3,
    coalesce((extract(epoch from $4) * 1000000)::bigint::text, '-'), (extract(epoch from $5) * 1000000)::bigint,
    coalesce($6::text, '-'), coalesce(encode(sha256($7), 'hex'), '-'), coalesce(encode(sha256($8), 'hex'), '-'),
    encode(sha256(convert_to($9::text, 'UTF8')), 'hex'), encode(sha256(convert_to($10, 'UTF8')), 'hex')), 'UTF8'))
$$;

create function conflict_digest(
  partition integer, log integer, log_offset bigint, created_at timestamptz, operation_id uuid, fingerprint bytea
) returns bytea language sql stable as $$
  select sha256(convert_to(concat_ws('|', 'monedero conflict 1', $1, $2, $3,
    (extract(epoch from $4) * 1000000)::bigint, $5, encode($6, 'hex')), 'UTF8'))
$$;

create function resolution_digest(
  partition integer, log integer, log_offset bigint, number integer, created_at timestamptz, action text,
  operation_id uuid, to_partition integer, to_offset bigint, resolved_by text, login text, reason text
) returns bytea language sql stable as $$
  select sha256(convert_to(concat_ws('|', 'monedero resolution 1', $1, $2, $3, $4,
    (extract(epoch from $5) * 1000000)::bigint, $6, coalesce($7::text, '-'), coalesce($8::text, '-'),
    coalesce($9::text, '-'), encode(sha256(convert_to($10, 'UTF8')), 'hex'), encode(sha256(convert_to($11, 'UTF8')), 'hex'),
    encode(sha256(convert_to(coalesce($12, ''), 'UTF8')), 'hex')), 'UTF8'))
$$;

-- The seal is made where the row is: it is the same whoever writes, and an older
-- service that knows nothing of it goes on.
create function seal_dead_letter() returns trigger language plpgsql as $$
begin
  new.digest := dead_letter_digest(new.partition, new.log, new.log_offset, new.record_time, new.created_at, new.operation_id,
    new.key, new.value, new.headers, new.reason);
  return new;
end
$$;

create function seal_conflict() returns trigger language plpgsql as $$
begin
  new.digest := conflict_digest(new.partition, new.log, new.log_offset, new.created_at, new.operation_id, new.fingerprint);
  return new;
end
$$;

create function seal_resolution() returns trigger language plpgsql as $$
begin
  new.digest := resolution_digest(new.partition, new.log, new.log_offset, new.number, new.created_at, new.action,
    new.operation_id, new.to_partition, new.to_offset, new.resolved_by, new.login, new.reason);
  return new;
end
$$;
-- +goose StatementEnd

create table dead_letter_resolutions (
  log_offset   bigint not null,
  to_offset    bigint,
  created_at   timestamptz not null default now(),
  partition    integer not null,
  log          integer not null,
  number       integer not null,
  to_partition integer,
  operation_id uuid,
  action       text not null,
  resolved_by  text not null,
  login        text not null default session_user,
  reason       text,
  digest       bytea not null,
  constraint dead_letter_resolutions_pkey primary key (partition, log, log_offset, number),
  constraint dead_letter_resolutions_number_check check (number >= 1),
  constraint dead_letter_resolutions_action_check check (
    (action = 'discarded' and reason is not null and operation_id is null)
    or (action in ('submitting', 'submitted') and operation_id is not null)
  ),
  constraint dead_letter_resolutions_to_check check (
    (to_offset is null) = (to_partition is null) and (to_offset is not null) = (action = 'submitted')
    and to_offset >= 0 and to_partition >= 0
  ),
  constraint dead_letter_resolutions_text_check check (resolved_by <> '' and reason <> ''),
  constraint dead_letter_resolutions_digest_check check (octet_length(digest) = 32)
);
comment on table dead_letter_resolutions is 'What people did about dead letters, step by step: append-only.';
comment on column dead_letter_resolutions.action is 'Submitting is written before the record is, submitted once it is known to be.';
comment on column dead_letter_resolutions.operation_id is 'The ID that the letter was submitted under.';
comment on column dead_letter_resolutions.to_offset is 'Where the submitted record lies.';
comment on column dead_letter_resolutions.resolved_by is 'Who ran the command, and where.';

alter table dead_letters add column digest bytea;
update dead_letters
set digest = dead_letter_digest(partition, log, log_offset, record_time, created_at, operation_id, key, value, headers, reason);
alter table dead_letters alter column digest set not null;
comment on column dead_letters.digest is 'Seal over all other columns.';

alter table conflicts add column digest bytea;
update conflicts
set digest = conflict_digest(partition, log, log_offset, created_at, operation_id, fingerprint);
alter table conflicts alter column digest set not null;
comment on column conflicts.digest is 'Seal over all other columns.';

-- +goose StatementBegin
do $$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'citus') then
    perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
    perform set_config('citus.enable_unsafe_triggers', 'on', true);
    perform create_distributed_table('dead_letter_resolutions', 'partition', colocate_with => 'operations');
  end if;
end
$$;
-- +goose StatementEnd

create trigger dead_letters_seal before insert on dead_letters for each row execute function seal_dead_letter();
create trigger conflicts_seal before insert on conflicts for each row execute function seal_conflict();
create trigger dead_letter_resolutions_seal before insert on dead_letter_resolutions
  for each row execute function seal_resolution();

create trigger dead_letters_refuse_change before update or delete on dead_letters
  for each row execute function refuse_change();
create trigger dead_letters_refuse_truncate before truncate on dead_letters
  for each statement execute function refuse_change();
create trigger conflicts_refuse_change before update or delete on conflicts
  for each row execute function refuse_change();
create trigger conflicts_refuse_truncate before truncate on conflicts
  for each statement execute function refuse_change();
create trigger dead_letter_resolutions_refuse_change before update or delete on dead_letter_resolutions
  for each row execute function refuse_change();
create trigger dead_letter_resolutions_refuse_truncate before truncate on dead_letter_resolutions
  for each statement execute function refuse_change();

grant select, insert on dead_letter_resolutions to monedero_service;
