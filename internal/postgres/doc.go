// Package postgres keeps everything in PostgreSQL: the history of operations, the
// balances that follow from it, and how far each partition of the log is
// settled.
//
// Each statement is one file in queries/, with its locks and its index at its
// head. Every statement on the way of a settle touches one partition only, and
// finds its rows by index whatever the planner knows of the tables: services
// set plans to be made once, before there are rows to learn from. One does not
// before the first ANALYZE: update_wallets reads all wallets of the partition until then.
//
// Services run as the role monedero_service, which may append to the history
// but not change it.
package postgres
