// Package ingest is the HTTP API: it takes requests in and shows what became of
// them.
//
// The way of a charge is a straight line: authenticate, validate, compute the
// ID, submit, answer 202. Nothing on it writes to the database and nothing waits
// for the database: what is already decided is read beside the submit, and used
// only if it is back at once. The package declares what it needs of Kafka and
// of the database in ports.go and knows neither.
//
// On the wire a field without a value is left out and never null, in requests
// and in answers alike. Times are RFC 3339 in UTC with six decimals.
package ingest
