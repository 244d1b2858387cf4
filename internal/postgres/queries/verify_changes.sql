-- Where a chain of changes is broken: a row that is not as it was written, one that is missing or too much, an end that
-- is not the last row's.
-- $1 chain.
-- Locks: none. Reads the chain as a whole.
with links as (
  select
    number, digest = change_digest(
      coalesce(lag(digest) over chain, ''), number, at, chain, id, owner, key_id, operation_id, role, person, login, action, about, reason,
      request_id, before, after
    ) as follows, coalesce(lag(number) over chain, 0) + 1 = number as counts, digest
  from changes
  where chain = $1
  window chain as (order by number)
)
select number, case when counts then 'is not as it was written' else 'follows on one that is missing' end as fault
from links
where not follows or not counts
union all
select coalesce(e.last_number, l.number), 'is not where the chain ends'
from (select last_number, last_digest from change_chains where chain = $1) e
full join (select number, digest from links order by number desc limit 1) l on true
where (e.last_number, e.last_digest) is distinct from (l.number, l.digest)
