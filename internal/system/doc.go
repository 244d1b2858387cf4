// Package system holds only tests: they run the real binaries as processes,
// against a real Postgres and over HTTP, break them, and let one checker say
// whether anything was lost, done twice or done out of order.
package system
