-- The server reads the checks of a table anew for each statement that writes to it, which was an eighth of what Postgres
-- spends on a charge that is settled alone. Of each table those stay that money hangs on, and those that verify cannot
-- see from the history. What else they guarded follows from the history, and verify finds it.
-- Every row holds to the new ones, since it held to the old ones. They are read through in the next step, which locks
-- nobody out.
-- The tables are locked in the order in which a settle does, and for no longer than a moment: whoever reads one of them all
-- the while makes this fail, and it is run again. Until then it would hold up every settle.

-- +goose Up
set local lock_timeout = '3s';

alter table partition_progress
  drop constraint partition_progress_counts_check,
  drop constraint partition_progress_halt_check,
  drop constraint partition_progress_log_check,
  drop constraint partition_progress_moved_epoch_check,
  drop constraint partition_progress_offset_check,
  add constraint partition_progress_counts_check check (
    settled + duplicates + conflicts + dead + gaps = next_offset - first_offset
    and least(settled, duplicates, conflicts, dead, gaps, first_offset, moved_epoch, epoch - moved_epoch, log - 1) >= 0
  );

alter table wallets
  drop constraint wallets_balance_check,
  drop constraint wallets_charges_check,
  drop constraint wallets_credit_limit_check,
  drop constraint wallets_currency_check,
  drop constraint wallets_held_check,
  drop constraint wallets_last_digest_check,
  drop constraint wallets_last_sequence_check,
  drop constraint wallets_status_check,
  add constraint wallets_check check (
    held >= 0 and held <= balance + credit_limit and balance <= 9007199254740991 and charges = 'mandated'
  ) not valid;

alter table operations
  drop constraint operations_check,
  add constraint operations_check check (amount >= 1 and amount <= 9007199254740991 and (invoice is null) = (invoice_key is null)) not valid;
