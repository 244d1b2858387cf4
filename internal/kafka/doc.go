// Package kafka carries requests from ingest to the processor: a producer that
// batches, and a subscriber that delivers partitions in order. What travels is written
// and read by package record. Both ends are Watermill's: [Publisher] and [Subscriber]. Watermill itself stays
// in these two and in [Subscriber.Run], which hands batches to a handler and takes
// results back.
//
// What the package promises:
//
//   - Produced means durable. [Producer.Produce] returns nil when every in-sync
//     replica has the record. An error means that this is unknown, and the caller
//     sends the same request again; who reads the topic must expect a record twice.
//   - The order of a partition is the order in which its records were handed to
//     the producer. One batch is in flight for each partition, and a batch that
//     fails is sent again before the next one.
//   - A partition's next batch is delivered after the one before is settled. A batch
//     that is not settled comes again, the same. Nothing else leads on: no error, no
//     rebalance and no restart skips a record, and nothing is ever reset to the start
//     or the end.
//   - Progress is the claimer's, and so a database's. A partition is claimed when it is
//     assigned, and again after a fence or a halt. Before its records are delivered, and again after
//     every error, the log is compared with what the database knows: the cluster, the
//     number of partitions, the bounds of the log and a hash of the last record
//     settled. If they differ the partition halts: it says so, delivers nothing, and
//     looks again every few seconds.
//   - Every offset that a batch covers is that of one of its records, or of a marker
//     of a transaction that was seen. Where the log holds neither, because compaction
//     took a record or because one cannot be read, all before it is delivered, and then
//     the partition halts.
//   - A partition that is taken away or closed finishes the message in hand first,
//     within a limit.
//
// Records are read whether or not a transaction that wrote them was committed:
// our producer uses none. The offsets of markers are covered by From and To of the
// batches.
//
// Why not kafka-go's Writer: its zero value asks for no acknowledgement; it
// waits for a batch to fill although nothing is in flight; a batch that failed
// comes behind its successor when its caller sends it again; and it does not say
// at which offset a record is. Why not its Reader: it commits offsets of
// partitions that it lost, even backwards; a rebalance waits for its reads; it has
// no sign for a partition that is taken away. [kafkago.Client] and
// [kafkago.ConsumerGroup] below them have neither fault; but its Fetch drops what it
// cannot read without a word, so fetches are read here.
//
// [kafkago.Client]: https://pkg.go.dev/github.com/segmentio/kafka-go#Client
// [kafkago.ConsumerGroup]: https://pkg.go.dev/github.com/segmentio/kafka-go#ConsumerGroup
package kafka
