-- Master data: small, read by every service, never written while settling.

-- +goose Up
create table clients (
  created_at timestamptz not null,
  id         uuid not null,
  name       text not null,
  constraint clients_pkey primary key (id)
);
comment on table clients is 'Who owns wallets.';

create table merchants (
  created_at timestamptz not null,
  suspended  boolean not null default false,
  id         uuid not null,
  owner      uuid,
  name       text not null,
  constraint merchants_pkey primary key (id),
  constraint merchants_owner_fkey foreign key (owner) references clients (id)
);
comment on table merchants is 'Who charges wallets.';
comment on column merchants.owner is 'The client whose own wallets the merchant may not charge.';

create table api_keys (
  created_at   timestamptz not null,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz,
  id           uuid not null,
  merchant_id  uuid,
  client_id    uuid,
  role         text not null,
  name         text not null,
  secret_hash  bytea not null,
  constraint api_keys_pkey primary key (id),
  constraint api_keys_merchant_id_fkey foreign key (merchant_id) references merchants (id),
  constraint api_keys_client_id_fkey foreign key (client_id) references clients (id),
  constraint api_keys_secret_hash_check check (octet_length(secret_hash) = 32),
  constraint api_keys_role_check check (
    (role = 'merchant' and merchant_id is not null and client_id is null)
    or (role = 'client' and client_id is not null and merchant_id is null)
    or (role = 'operator' and merchant_id is null and client_id is null)
  )
);
comment on table api_keys is 'API keys; their secrets only as SHA-256.';

-- Services make all three and change only keys, whose last use they note.
grant select, insert on clients, merchants to monedero_service;
grant select, insert, update on api_keys to monedero_service;
