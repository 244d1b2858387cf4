-- The audit log: one append-only row for every change that is no operation, of master
-- data as of what operators do by hand. It takes the part of three tables.

-- +goose Up
create table change_chains (
  last_number bigint not null,
  chain       integer not null,
  last_digest bytea not null,
  constraint change_chains_pkey primary key (chain)
);
comment on table change_chains is 'Where each chain of changes ends: its lock, and how verify finds that its last rows are gone.';

create table changes (
  number       bigint not null,
  at           timestamptz not null,
  chain        integer not null,
  id           uuid not null default gen_random_uuid(),
  owner        uuid,
  key_id       uuid,
  operation_id uuid,
  role         text not null,
  person       text,
  login        text not null default session_user,
  action       text not null,
  about        text not null,
  reason       text,
  request_id   text,
  before       jsonb,
  after        jsonb,
  digest       bytea not null,
  constraint changes_pkey primary key (chain, number),
  constraint changes_chain_check check (chain >= -1),
  constraint changes_role_check check (role in ('merchant', 'client', 'operator')),
  constraint changes_action_check check (action in (
    'client_created', 'merchant_created', 'merchant_suspended', 'merchant_resumed', 'api_key_created', 'api_key_rotated',
    'api_key_revoked', 'deployment_changed', 'progress_set', 'dead_letter_discarded', 'dead_letter_submitting', 'dead_letter_submitted'
  )),
  constraint changes_text_check check (about <> '' and person <> '' and reason <> '' and request_id <> ''),
  constraint changes_letter_check check (
    action not like 'dead_letter_%'
    or chain >= 0 and after ? 'step' and split_part(about, '/', 3) <> '' and (operation_id is null) = (action = 'dead_letter_discarded')
  ),
  constraint changes_progress_check check (action <> 'progress_set' or chain >= 0 and after ?& array['log', 'offset', 'epoch'])
);
comment on table changes is 'What somebody changed that is no operation, who and why: append-only, each chain sealed by digests.';
comment on column changes.chain is 'The partition that it is about; -1: of none.';
comment on column changes.number is 'Place in the chain, 1, 2, 3 ...';
comment on column changes.owner is 'The merchant or client whose key asked; null: an operator.';
comment on column changes.key_id is 'The key that asked; null: a person at the command line.';
comment on column changes.person is 'Who ran the command, and where; null: it came over the API.';
comment on column changes.login is 'As whom the command or the service logged in to the database.';
comment on column changes.about is 'What was changed: an ID, a partition, the place of a dead letter, a part of the deployment.';
comment on column changes.operation_id is 'The operation that a dead letter was submitted as.';
comment on column changes.before is 'What changed, as it was: flat, of texts. Never a secret, nor its hash.';
comment on column changes.digest is 'Seal over the row and the digest of the one before it in its chain.';

create index changes_at_idx on changes (at, id);
create index changes_about_idx on changes (about, at, id);
create index changes_progress_idx on changes (chain) where action = 'progress_set';
create unique index changes_letter_key on changes (
  chain, (nullif(split_part(about, '/', 2), '')::integer), (nullif(split_part(about, '/', 3), '')::bigint), ((after ->> 'step')::integer)
) where action like 'dead_letter_%';

-- +goose StatementBegin
create function change_digest(
  previous bytea, number bigint, at timestamptz, chain integer, id uuid, owner uuid, key_id uuid, operation_id uuid, role text,
  person text, login text, action text, about text, reason text, request_id text, before jsonb, after jsonb
) returns bytea language sql stable as $$
  select sha256($1 || convert_to(jsonb_build_array('monedero change 1', $2, (extract(epoch from $3) * 1000000)::bigint, $4, $5, $6, $7,
    $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)::text, 'UTF8'))
$$;

-- It runs as the owner: services cannot move the end of a chain by themselves. The row
-- of the chain is locked until the change commits, so numbers come without gaps.
create function seal_change() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare
  previous bytea;
begin
  if new.digest is not null then
    return new; -- the data of a dump comes sealed; services may not write the column
  end if;
  insert into change_chains as c (chain, last_number, last_digest) values (new.chain, 1, '')
  on conflict (chain) do update set last_number = c.last_number + 1
  returning c.last_number, c.last_digest into new.number, previous;
  new.at := coalesce(new.at, clock_timestamp());
  new.digest := change_digest(previous, new.number, new.at, new.chain, new.id, new.owner, new.key_id, new.operation_id, new.role,
    new.person, new.login, new.action, new.about, new.reason, new.request_id, new.before, new.after);
  update change_chains set last_digest = new.digest where chain = new.chain;
  return new;
end
$$;

do $$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'citus') then
    perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
    perform set_config('citus.enable_unsafe_triggers', 'on', true);
    perform create_distributed_table('change_chains', 'chain', colocate_with => 'operations');
    perform create_distributed_table('changes', 'chain', colocate_with => 'operations');
  end if;
end
$$;
-- +goose StatementEnd

create trigger changes_seal before insert on changes for each row execute function seal_change();
create trigger changes_refuse_change before update or delete on changes for each row execute function refuse_change();
create trigger changes_refuse_truncate before truncate on changes for each statement execute function refuse_change();

-- What was written down so far, in the order of its time.
insert into changes (at, chain, role, person, login, action, about, reason, before, after)
select
  changed_at, -1, 'operator', changed_by, login, 'deployment_changed', what, reason,
  jsonb_build_object('value', from_value), jsonb_build_object('value', to_value)
from deployment_changes
order by changed_at, what;

insert into changes (at, chain, operation_id, role, person, login, action, about, reason, before, after)
select at, chain, operation_id, 'operator', person, login, action, about, reason, before, after
from (
  select
    changed_at as at, partition as chain, null::uuid as operation_id, changed_by as person, login, 'progress_set' as action,
    'partition ' || partition as about, reason,
    case when from_log is not null then jsonb_build_object('log', from_log::text, 'offset', from_offset::text) end as before,
    jsonb_build_object('log', to_log::text, 'offset', to_offset::text, 'epoch', epoch::text, 'failed', failed::text, 'dead', dead::text) as after,
    epoch as step
  from progress_changes
  union all
  select
    created_at, partition, operation_id, resolved_by, login, 'dead_letter_' || action, concat_ws('/', partition, log, log_offset), reason, null,
    jsonb_strip_nulls(jsonb_build_object('step', number::text, 'partition', to_partition::text, 'offset', to_offset::text)), number
  from dead_letter_resolutions
) c
order by at, step;

drop view dead_letter_states;
drop table deployment_changes, progress_changes, dead_letter_resolutions;
drop function seal_resolution;
drop function resolution_digest;

create view progress_changes as
select
  chain as partition, (before ->> 'log')::integer as from_log, (before ->> 'offset')::bigint as from_offset,
  (after ->> 'log')::integer as to_log, (after ->> 'offset')::bigint as to_offset, (after ->> 'epoch')::bigint as epoch
from changes
where action = 'progress_set';
comment on view progress_changes is 'When a person moved the progress of a partition, and from where to where. From null: it had no progress.';

create view dead_letter_resolutions as
select
  chain as partition, nullif(split_part(about, '/', 2), '')::integer as log, nullif(split_part(about, '/', 3), '')::bigint as log_offset,
  (after ->> 'step')::integer as number, at as created_at, substr(action, 13) as action, operation_id,
  (after ->> 'partition')::integer as to_partition, (after ->> 'offset')::bigint as to_offset, person as resolved_by, reason
from changes
where action like 'dead_letter_%';
comment on view dead_letter_resolutions is 'What people did about dead letters, step by step. Submitting is written before the record is, submitted once it is known to be.';

create view dead_letter_states as
select
  d.*,
  exists (
    select 1
    from dead_letter_resolutions r
    where r.partition = d.partition and r.log = d.log and r.log_offset = d.log_offset and r.action <> 'submitting'
  ) or coalesce(d.value in (
    select c.value
    from dead_letter_resolutions r
    join dead_letters c on c.partition = r.partition and c.log = r.log and c.log_offset = r.log_offset
    where r.action <> 'submitting'
  ), false) as done
from dead_letters d;
comment on view dead_letter_states is 'Dead letters, and whether people are done with each, or with any that has the same value.';

-- When, under which number and as whom is not for a service to say.
grant select on changes, change_chains, progress_changes, dead_letter_resolutions, dead_letter_states to monedero_service;
grant insert (chain, owner, key_id, operation_id, role, person, action, about, reason, request_id, before, after) on changes to monedero_service;

-- Registry: lists by when it was made, and a merchant that is suspended and resumed.
create index clients_created_idx on clients (created_at, id);
create index merchants_created_idx on merchants (created_at, id);
create index api_keys_created_idx on api_keys (created_at, id);
create index api_keys_owner_idx on api_keys ((coalesce(merchant_id, client_id)), created_at, id);
create index wallets_opened_idx on wallets (opened_at, id);
grant update (suspended) on merchants to monedero_service;
