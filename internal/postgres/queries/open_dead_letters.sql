-- How many dead letters nobody did anything about, nor about another one with the
-- same value: as dead_letters.sql lists them.
-- $1 how far to count.
-- Locks: none.
-- Index: dead_letter_resolutions_pkey, dead_letters_pkey.
select count(*)
from (
  select
  from dead_letters d
  where not exists (
    select
    from dead_letter_resolutions r
    where r.partition = d.partition and r.log = d.log and r.log_offset = d.log_offset and r.action <> 'submitting'
  ) and (d.value in (
    select c.value
    from dead_letter_resolutions r
    join dead_letters c on c.partition = r.partition and c.log = r.log and c.log_offset = r.log_offset
    where r.action <> 'submitting'
  )) is not true
  limit $1
) open
