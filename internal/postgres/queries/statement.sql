-- A page of a wallet's operations, in the order of its history.
-- $1 to $10: see @walk; $11 partition, $12 wallet ID; behind the sequence $13, up to $14.
-- Locks: none.
-- Index: operations_wallet_sequence_key.
with walked as (
  select h.*, row_number() over (order by sequence) as number
  from (
    select *
    from operations
    where partition = $11 and wallet_id = $12 and sequence > $13 and sequence <= $14
    order by sequence
    limit $3
  ) h
)
@walk
