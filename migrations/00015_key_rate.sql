-- How fast requests may come under an API key.

-- +goose Up
alter table api_keys add column rate integer;
alter table api_keys add constraint api_keys_rate_check check (rate between 1 and 100000);
comment on column api_keys.rate is 'How many requests a second each ingest takes under the key, and as many at once; null: any number.';
