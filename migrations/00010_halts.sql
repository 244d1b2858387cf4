-- The owner of a partition writes down why it halts: people's tools read it there.

-- +goose Up
alter table partition_progress
  add column halted_at timestamptz,
  add column halt_cause text,
  add constraint partition_progress_halt_check check ((halted_at is null) = (halt_cause is null));
comment on column partition_progress.halt_cause is 'Why the partition''s owner settles nothing; null: it does not say that it halts.';
