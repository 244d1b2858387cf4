// Package recount decides the history of a wallet again, from outside: it knows what callers
// asked and what is on record, and nothing of the code that decided. Where the rules in
// internal/ledger were wrong, it would not be wrong in the same way.
package recount
