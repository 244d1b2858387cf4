-- A refund refers to the charge that it gives back. It says what it moved, which its request
-- may have left open, and how much of the charge can still be given back: the last one of a
-- charge says so of all of them, and nothing else has to be kept.

-- +goose Up
alter table operations
  add column refers_to uuid,
  add column moved bigint,
  add column left_after bigint;
comment on column operations.refers_to is 'The operation that it refers to: of a refund the charge.';
comment on column operations.moved is 'What it moved, where it refers to an operation: its amount, or all that was left. Null: nothing.';
comment on column operations.left_after is 'How much of what it refers to could still be moved after it.';

-- What was accepted and refers to an operation, in order.
create index operations_refers_to_idx on operations (partition, refers_to, sequence) where refers_to is not null and reason is null;

create or replace view movements as
select
  partition, id as operation_id, currency,
  case when kind in ('charge', 'refund') then merchant_id else '00000000-0000-0000-0000-000000000000'::uuid end as account_id,
  case kind when 'top_up' then -amount when 'refund' then -moved else amount end as amount
from operations
where reason is null and kind in ('charge', 'top_up', 'withdraw', 'refund');
