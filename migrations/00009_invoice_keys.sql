-- The invoice key becomes a type of fixed size: half the cost of a look-up, and
-- a narrower index. The table is written anew, and no service may run meanwhile:
-- those built before this migration do not know the type.

-- +goose Up
alter table operations drop constraint operations_invoice_key_check;
alter table operations alter column invoice_key type uuid using encode(invoice_key, 'hex')::uuid;
alter table operations add constraint operations_invoice_key_check check ((invoice is null) = (invoice_key is null));
comment on column operations.invoice_key is 'First 16 bytes of a hash of merchant and invoice, kept as a uuid for its fixed size.';
