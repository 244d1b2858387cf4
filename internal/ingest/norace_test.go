//go:build !race

package ingest_test

// slowly is how much slower a test runs without the race detector.
const slowly = 1
