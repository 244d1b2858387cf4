-- What tells a progress that a person set back from one that was restored.

-- +goose Up
alter table partition_progress
  add column moved_epoch bigint not null default 0,
  add constraint partition_progress_moved_epoch_check check (moved_epoch >= 0 and moved_epoch <= epoch);
comment on column partition_progress.moved_epoch is 'The epoch under which the progress came to next_offset: who sets it back, raises it.';

alter table deployment
  add column history integer not null default 1,
  add constraint deployment_history_check check (history >= 1);
comment on column deployment.history is '1, and one more each time that the database was recovered after it had been restored.';
