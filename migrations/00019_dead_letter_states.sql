-- When people are done with a dead letter, in one place: its list and its count read it.

-- +goose Up
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
grant select on dead_letter_states to monedero_service;
