-- The row says what it was decided on: who asked, what was found of the merchant, the credit
-- limit, and in which version it is sealed. And it has a position: its place among all
-- operations of the partition. Rows of before keep their seals, of version 2. The table is
-- written anew, and no service may run meanwhile.

-- +goose Up
alter table operations
  add column limit_after bigint,
  add column position bigint,
  add column seal integer,
  add column merchant_owner uuid,
  add column asker_id uuid,
  add column asker_key uuid,
  add column merchant_state text,
  add column asker_role text;

alter table operations disable trigger user;
-- Within a wallet positions follow its sequence, whatever the clocks of processors said.
with latest as (
  select
    partition, id, sequence, log, log_offset,
    max(decided_at) over (partition by partition, wallet_id order by sequence) as decided_at
  from operations
),
numbered as (
  select
    partition, id,
    row_number() over (partition by partition order by decided_at, sequence, log, log_offset, id) as position
  from latest
)
update operations o
set position = n.position, seal = 2, asker_id = o.merchant_id,
  asker_role = case when o.kind = 'charge' or o.merchant_id is not null then 'merchant' when o.kind is not null then 'operator' end,
  limit_after = case when o.sequence is not null then 0 end,
  merchant_state = case
    when o.kind is distinct from 'charge' or o.reason in ('processing_error', 'merchant_not_found') then null
    when o.reason = 'merchant_suspended' then 'suspended'
    else 'active'
  end,
  merchant_owner = case
    when o.reason = 'self_charge_not_allowed' then (
      select opened.client_id
      from operations opened
      where opened.partition = o.partition and opened.wallet_id = o.wallet_id and opened.sequence = 1
    )
  end
from numbered n
where n.partition = o.partition and n.id = o.id;
alter table operations enable trigger user;

alter table operations alter column position set not null, alter column seal set not null;
-- All that happened in a partition, in the order of commits.
create unique index operations_position_key on operations (partition, position);
comment on column operations.position is 'Place among all operations of the partition, in the order of commits: 1, 2, 3 ... without gaps.';
comment on column operations.seal is 'Version of what the digest covers.';
comment on column operations.limit_after is 'The credit limit in force after it.';
comment on column operations.merchant_state is 'What was found of the merchant: active or suspended; null: none was asked for, or found.';
comment on column operations.merchant_owner is 'The client that owned the merchant.';
comment on column operations.asker_role is 'Who asked: merchant, client or operator.';
comment on column operations.asker_id is 'The merchant or the client that asked.';
comment on column operations.asker_key is 'The API key that it was asked with.';

alter table partition_progress add column last_position bigint not null default 0;
update partition_progress p
set last_position = coalesce((select max(o.position) from operations o where o.partition = p.partition), 0);
comment on column partition_progress.last_position is 'Of the last operation; made from the operations.';
