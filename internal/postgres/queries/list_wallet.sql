-- A page of a wallet's operations: those without a sequence first, then the newest first. Those decided within
-- the times are a range of sequences.
-- $1 to $11: see @walk; $12 partition, $13 wallet ID; after the operation with $14 sequence (null: it has none, or the
-- first page) and $15 ID (the first page: above all).
-- Locks: none.
-- Index: operations_wallet_sequence_key, operations_wallet_unsequenced_idx.
with walked as (
  select h.*, row_number() over (order by sequence desc nulls first, id desc) as number
  from (
    (
      select *
      from operations
      where partition = $12 and wallet_id = $13 and sequence is null
        and $14::bigint is null and id < $15::uuid
      order by id desc
      limit $3
    )
    union all
    (
      select *
      from operations
      where partition = $12 and wallet_id = $13
        and sequence > coalesce(sequence_before($12, $13, $7), 0)
        and sequence < coalesce($14::bigint, sequence_before($12, $13, $8) + 1, 9223372036854775807)
      order by sequence desc
      limit $3
    )
  ) h
)
@walk
