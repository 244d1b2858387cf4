-- Where a person's move of a progress is to bring it, while it is not there yet: it goes slice
-- by slice, and nobody may claim the partition in between. That is a rule of the table: a build
-- that knows nothing of goals names itself the owner as it claims, and is refused.

-- +goose Up
alter table partition_progress
  add column goal bigint,
  add constraint partition_progress_goal_check check (goal is null or goal > next_offset and halt_cause is not null and owner is null);

comment on column partition_progress.goal is 'The offset that a move which is not finished is to come to: no claim until then. Null: none.';
