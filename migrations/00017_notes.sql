-- What operators write for operators alone.

-- +goose Up
alter table operations
  add column note text,
  add constraint operations_note_check check (note <> '');
comment on column operations.note is 'Of an operator to operators: no client and no merchant is shown it.';
