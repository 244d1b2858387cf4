-- How many operations, conflicts and dead letters came from the records that the
-- counts of a partition cover: those of its log in a range. And how many
-- dead letters and conflicts there are in all.
-- $1 partition, $2 log, $3 first offset, $4 next offset.
-- Locks: none. Reads the partition as a whole.
select
  (select count(*) from operations where partition = $1 and log = $2 and log_offset >= $3 and log_offset < $4),
  (select count(*) from conflicts where partition = $1 and log = $2 and log_offset >= $3 and log_offset < $4),
  (
    select count(*)
    from dead_letters
    where partition = $1 and log = $2 and log_offset >= $3 and log_offset < $4 and operation_id is null
  ),
  (select count(*) from conflicts where partition = $1),
  (select count(*) from dead_letters where partition = $1)
