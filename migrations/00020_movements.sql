-- What accepted operations move, once for all who sum it.

-- +goose Up
create view movements as
select
  partition, id as operation_id, currency,
  case kind when 'charge' then merchant_id else '00000000-0000-0000-0000-000000000000'::uuid end as account_id,
  case kind when 'charge' then amount else -amount end as amount
from operations
where reason is null and kind in ('charge', 'top_up');
comment on view movements is 'What each accepted operation adds to an account besides its wallet, which loses the same: a row where money moves.';

grant select on movements to monedero_service;
