// Package demo plays a believable day on a real Monedero: it makes clients,
// wallets, merchants and keys over the HTTP API, submits charges of which every
// outcome is known in advance, and checks what came of each.
//
// What is expected follows from how the day is planned, never from the ledger's
// rules: a wallet that nobody topped up has no money, a frozen one is frozen,
// and every other one is topped up with more than will be charged to it.
package demo
