// Package loadgen puts a constant load on a running Monedero, over its HTTP API
// and from outside, measures how long requests take, and checks in the end that
// everything that was promised holds.
//
// The load is open: charges arrive by a schedule that is fixed before the first
// one is sent, and nothing that the system does moves it. Every latency counts
// from the moment at which the charge was to be sent. A system that stands still
// for a second is so seen by every charge that came in that second, and not by
// the one alone that was in flight (no "coordinated omission").
package loadgen
