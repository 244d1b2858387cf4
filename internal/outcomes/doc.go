// Package outcomes finds what became of operations, for many requests in one query, and lets
// requests wait for it.
package outcomes
