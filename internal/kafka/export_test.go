package kafka

import "github.com/monedero/monedero/internal/processor"

// Scan goes through batches as a fetch from an offset does: with salvage as
// set-progress reads them, else as a processor does.
func Scan(set []byte, from int64, salvage bool) (records []processor.Record, next int64, holes []string) {
	at := scan{from: from, next: from, salvage: salvage}
	at.read(set)
	for _, h := range at.holes {
		holes = append(holes, h.Error())
	}
	return at.records, at.next, holes
}

// DecodeCopy is what a claim reads from a committed offset.
var DecodeCopy = decodeCopy
