-- A withdrawal moves money back to the funding account.

-- +goose Up
comment on table account_balances is 'What merchants are owed, and under the zero ID minus what came in and did not go out: a part of each balance in every partition.';

create or replace view movements as
select
  partition, id as operation_id, currency,
  case kind when 'charge' then merchant_id else '00000000-0000-0000-0000-000000000000'::uuid end as account_id,
  case kind when 'top_up' then -amount else amount end as amount
from operations
where reason is null and kind in ('charge', 'top_up', 'withdraw');
