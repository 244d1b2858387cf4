-- When everything was last verified, and what was found.
-- Locks: none.
-- Index: verifications_pkey.
select started_at, violations
from verifications
order by verified_at desc
limit 1
