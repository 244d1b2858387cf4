// Package proxytest gives a test a TCP proxy that breaks connections in the ways
// networks do: cut, refused, slow, stalled, deaf in one direction; at any moment,
// or exactly when certain bytes pass.
package proxytest
