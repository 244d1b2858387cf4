//go:build race

package ingest_test

// slowly is how much slower a test runs under the race detector.
const slowly = 4
