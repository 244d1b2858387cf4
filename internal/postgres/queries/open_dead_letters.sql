-- How many dead letters nobody is done with: as dead_letters.sql lists them.
-- $1 how far to count.
-- Locks: none.
-- Index: changes_letter_key, dead_letters_pkey.
select count(*)
from (
  select 1
  from dead_letter_states
  where not done
  limit $1
) open
