// Package processor settles: it takes batches of records from Kafka, decides
// them by the rules of package ledger and has outcomes and progress recorded in
// one transaction. [Settler.Settle] is that, from a [Batch] to a [Result]; what
// carries the batches it does not know.
//
// Order comes from whoever carries them, and hands out the next batch of a partition
// only after the result of the one before. That nothing is settled twice comes
// from the store. The first statement of its transaction locks the partition's progress,
// and lets it go on only under the owner's epoch and from the batch's first offset; the
// last one moves the progress to the batch's end. A crash therefore leaves one of these
// behind:
//
//	crashed                        what is true then                 what comes next does
//	before the claim               the old epoch stands              claims, starts at the progress
//	after the claim                nobody else can commit            claims anew, starts at the progress
//	after the fetch                nothing was written               fetches the same records again
//	inside the transaction         Postgres rolls it back            settles the same records again
//	as COMMIT is sent              all of it is durable, or nothing  the progress says which
//	after COMMIT, before the Ack   all of it is durable              starts behind it: the progress has moved
//	after the Ack                  all of it is durable              starts behind it
//	stopped, and another claims    the epoch has moved on            is fenced: its transaction changes nothing
//
// A record is never in the way of those behind it, with five exceptions. In these the
// partition halts for a person to decide: a record in a newer version of the wire format,
// data that break a rule of the database, more than [FloodLimit] processing errors within
// [FloodWindow], a progress that is not where its owner left it, and a progress that went
// back because the database was restored (see [Memory]). All before the offender is
// settled first.
package processor
