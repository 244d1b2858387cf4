-- A page of a wallet's operations: those without a sequence first, then the
-- newest first. It ends behind the row with which its texts reach so many bytes.
-- $1 rows, $2 bytes; $3 partition, $4 wallet ID; after the operation with $5 sequence (null: it has none, or the first
-- page) and $6 ID (the first page: above all).
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx.
with page as (
  (
    select *, true as found, false as ends
    from operations
    where partition = $3 and wallet_id = $4 and sequence is null
      and $5::bigint is null and id < $6::uuid
    order by id desc
    limit $1
  )
  union all
  (
    select *, true as found, false as ends
    from operations
    where partition = $3 and wallet_id = $4 and sequence < coalesce($5::bigint, 9223372036854775807)
    order by sequence desc
    limit $1
  )
)
@page(sequence desc nulls first, id desc)
