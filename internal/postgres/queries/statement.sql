-- A page of a wallet's operations, in the order of its history.
-- $1 to $11: see @walk; $12 partition, $13 wallet ID; behind the sequence $14, up to $15.
-- Locks: none.
-- Index: operations_wallet_sequence_key.
with walked as (
  select h.*, row_number() over (order by sequence) as number
  from (
    select *
    from operations
    where partition = $12 and wallet_id = $13 and sequence > $14 and sequence <= $15
    order by sequence
    limit $3
  ) h
)
@walk
