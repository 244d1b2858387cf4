// Package client calls the HTTP API as anybody's client would: it knows the
// documented paths and bodies, and nothing of the services behind them.
package client
