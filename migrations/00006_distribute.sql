-- Where Citus is installed, the tables are spread by partition. A settle touches
-- one partition, and so one shard. Elsewhere this does nothing.

-- +goose Up
-- +goose StatementBegin
do $$
begin
  if not exists (select from pg_catalog.pg_extension where extname = 'citus') then
    return;
  end if;
  perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
  perform set_config('citus.enable_unsafe_triggers', 'on', true);
  perform create_reference_table('clients');
  perform create_reference_table('merchants');
  perform create_reference_table('api_keys');
  perform create_reference_table('deployment');
  perform create_distributed_table('operations', 'partition');
  perform create_distributed_table('wallets', 'partition', colocate_with => 'operations');
  perform create_distributed_table('account_balances', 'partition', colocate_with => 'operations');
  perform create_distributed_table('partition_progress', 'partition', colocate_with => 'operations');
  perform create_distributed_table('dead_letters', 'partition', colocate_with => 'operations');
  perform create_distributed_table('conflicts', 'partition', colocate_with => 'operations');
end
$$;
-- +goose StatementEnd
