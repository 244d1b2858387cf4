-- Where a person's move of a progress is to bring it, while it is not there yet: it goes slice
-- by slice, and nobody may claim the partition in between.

-- +goose Up
alter table partition_progress
  add column goal bigint,
  add constraint partition_progress_goal_check check (goal is null or goal > next_offset and halt_cause is not null);

comment on column partition_progress.goal is 'The offset that a move which is not finished is to come to: no claim until then. Null: none.';
