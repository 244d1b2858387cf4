// Package devstack starts a Postgres and a Kafka of our own, for `monedero demo`,
// `monedero devstack` and the tests. Both listen on loopback only, keep what they
// know in a folder if they are given one, and are safe against kill -9 of this
// process at any moment.
//
// The Postgres is a real one. The Kafka is kfake, which speaks Kafka's protocol
// and persists its log, but is a single broker in this process: its speed and its
// durability against a power cut say nothing about Kafka's. Where java is
// installed it can be Apache Kafka instead.
package devstack
