-- A page of those operations of a wallet that are of a merchant, of an invoice, or of both, in the order of list_wallet.
-- No index knows of these: it goes through the wallet's history, so many operations at most, and says with the last
-- of them that it ends there. It also ends behind the row with which its texts reach so many bytes.
-- $1 partition, $2 wallet ID, $3 rows, $4 bytes; after the operation with $5 sequence (null: it has none, or the first
-- page) and $6 ID (the first page: above all); $7 merchant ID or null, $8 invoice or null, $9 operations to go through.
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx.
with walked as (
  select h.*, row_number() over (order by sequence desc nulls first, id desc) as number
  from (
    (
      select *
      from operations
      where partition = $1 and wallet_id = $2 and sequence is null
        and $5::bigint is null and id < $6::uuid
      order by id desc
      limit $9
    )
    union all
    (
      select *
      from operations
      where partition = $1 and wallet_id = $2 and sequence < coalesce($5::bigint, 9223372036854775807)
      order by sequence desc
      limit $9
    )
  ) h
),
page as (
  select *
  from (
    select *, coalesce(($7::uuid is null or merchant_id = $7) and ($8::text is null or invoice = $8), false) as found
    from walked
    where number <= $9
  ) seen
  where found or number = $9
)
select
  o.log_offset, o.sequence, o.amount, o.balance_after, o.received_at, o.decided_at, o.apply_before, o.log, o.id,
  o.wallet_id, o.merchant_id, o.client_id, o.duplicate_of, o.kind, o.reason, o.currency, o.status_after, o.fingerprint,
  o.digest, o.idempotency_key, o.invoice, o.description, o.metadata, o.note,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id),
  o.rows, o.found, o.number = $9
from (
  select
    page.*, count(*) over () as rows,
    coalesce(sum(coalesce(octet_length(metadata), 0) + coalesce(octet_length(description), 0) + coalesce(octet_length(note), 0)) over (
      order by number rows between unbounded preceding and 1 preceding
    ), 0) as bytes_before
  from (select * from page order by number limit $3) page
) o
where o.bytes_before < $4
order by number
