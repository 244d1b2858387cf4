-- Pages that cost a page, whatever the data look like. What failed under an invoice
-- is found in the order of its list; a client's wallets are found in theirs.

-- +goose Up
drop index operations_invoice_failed_idx;
create index operations_invoice_failed_idx on operations (invoice_key, wallet_id, coalesce(sequence, 0), id)
  where reason is not null and invoice_key is not null;
drop index wallets_client_id_idx;
create index wallets_client_idx on wallets (client_id, opened_at, id);
