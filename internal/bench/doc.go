// Package bench measures how fast Monedero is against what limits it: each row
// holds a figure of ours against the limit or peer that was measured beside it, in
// the same run, on the same machine, by turns. Ratios can be compared from machine
// to machine; rates cannot.
//
// What is measured runs as the real thing: Postgres, Kafka and the services, each a
// process of its own, whose CPU time is read from the system. A line is all that a charge
// goes through from POST to outcome: ours, or the bare one of a handler, Kafka and
// Postgres alone. To measure never
// fails because a goal is missed; it fails where something could not be measured
// and where money came out wrong.
package bench
