-- Where money comes from or goes to outside, the transfer has a reference there.

-- +goose Up
alter table operations add column reference text;
comment on column operations.reference is 'Of a top-up and a withdrawal: that of the transfer outside.';
