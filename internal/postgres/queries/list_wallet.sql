-- A page of a wallet's operations: those without a sequence first, then the
-- newest first. It ends behind the row with which its texts reach so many bytes.
-- $1 partition, $2 wallet ID, $3 rows, $4 bytes; after the operation with $5 sequence (null: it has none, or the first
-- page) and $6 ID (the first page: above all).
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx.
with page as (
  (
    select *
    from operations
    where partition = $1 and wallet_id = $2 and sequence is null
      and $5::bigint is null and id < $6::uuid
    order by id desc
    limit $3
  )
  union all
  (
    select *
    from operations
    where partition = $1 and wallet_id = $2 and sequence < coalesce($5::bigint, 9223372036854775807)
    order by sequence desc
    limit $3
  )
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata, o.note,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id),
  o.rows, true, false
from (
  select
    page.*, count(*) over () as rows,
    coalesce(sum(coalesce(octet_length(metadata), 0) + coalesce(octet_length(description), 0) + coalesce(octet_length(note), 0)) over (
      order by sequence desc nulls first, id desc rows between unbounded preceding and 1 preceding
    ), 0) as bytes_before
  from (select * from page order by sequence desc nulls first, id desc limit $3) page
) o
where o.bytes_before < $4
order by o.sequence desc nulls first, o.id desc
