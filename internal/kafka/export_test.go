package kafka

import (
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// Scan goes through batches as a fetch from an offset does: with salvage as
// set-progress reads them, else as a processor does.
func Scan(set []byte, from int64, salvage bool) (records []record.Record, next int64, holes []string) {
	at := scan{from: from, next: from, salvage: salvage}
	at.read(set)
	for _, h := range at.holes {
		holes = append(holes, h.Error())
	}
	return at.records, at.next, holes
}

// The names of a record's key and place in a message's metadata.
const (
	MetaKey       = metaKey
	MetaPartition = metaPartition
	MetaOffset    = metaOffset
)

// BatchOf is the batch that a subscriber's message stands for.
func BatchOf(msg *message.Message) processor.Batch { return deliveryOf(msg).batch }

// FromRecord is the message that is written as the record.
var FromRecord = fromRecord

// DecodeCopy is what a claim reads from a committed offset.
var DecodeCopy = decodeCopy

// Judge tells what is wrong with the settings of a topic, where what is not named is as
// we set it. A value that ends in "!" is the broker's.
func Judge(brokers, replicas int, differs map[string]string) (all []string, refusedBy, doubtfulBy error) {
	a := arrangement{values: map[string]value{replicasSetting: {}}, brokers: brokers, replicas: replicas}
	for _, s := range settings() {
		if s.ours != "" {
			a.values[s.name] = value{text: s.ours, chosen: true}
		}
	}
	for name, text := range differs {
		text, brokers := strings.CutSuffix(text, "!")
		a.values[name] = value{text: text, chosen: !brokers}
	}
	concerns := a.judge()
	for _, c := range concerns {
		all = append(all, c.setting)
	}
	return all, worst(concerns, refused), worst(concerns, doubtful)
}

// MaxMessageBytes is how large a batch the topic takes, MaxBatchBytes how large ours
// get, and RecordBytes what we reckon a record to take.
const (
	MaxMessageBytes = maxMessageBytes
	MaxBatchBytes   = maxBatchBytes
)

// RecordBytes is what we reckon a record to take in a batch.
func RecordBytes(r record.Record) int { return size(r) }
