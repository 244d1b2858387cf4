package processor

import "fmt"

// Memory is how far the progress of a partition is known to have come, kept outside
// of the database: by the owner that settled it, and in the copy that it leaves in
// Kafka. The database alone says where settling goes on; a progress that stands
// behind a memory of it was restored to an earlier moment. The zero value remembers
// nothing.
type Memory struct {
	History    int32 // of the database: how often it was recovered, and one
	Log        int32
	Epoch      int64 // of a claim that was made
	MovedEpoch int64 // under which the progress came to NextOffset
	NextOffset int64
}

// Memory is what the claim says of the progress.
func (c Claim) Memory() Memory {
	return Memory{History: c.History, Log: c.Log, Epoch: c.Epoch, MovedEpoch: c.MovedEpoch, NextOffset: c.NextOffset}
}

// Moved is the memory once everything below next is settled under its epoch.
func (m Memory) Moved(next int64) Memory {
	m.MovedEpoch, m.NextOffset = m.Epoch, next
	return m
}

// Behind reports whether a progress that stands at m lost what is known of it.
// Epochs only rise, and under one epoch only offsets do: whoever sets a progress back
// raises its epoch.
func (m Memory) Behind(known Memory) bool { return m.Epoch < known.Epoch || m.before(known) }

func (m Memory) before(o Memory) bool {
	return m.MovedEpoch < o.MovedEpoch || m.MovedEpoch == o.MovedEpoch && m.NextOffset < o.NextOffset
}

// With is all that the two memories know of one partition.
func (m Memory) With(o Memory) Memory {
	if m.before(o) {
		m.Log, m.MovedEpoch, m.NextOffset = o.Log, o.MovedEpoch, o.NextOffset
	}
	m.History, m.Epoch = max(m.History, o.History), max(m.Epoch, o.Epoch)
	return m
}

// Check compares a progress, as it stands, with what its owner remembers of it. It
// fails with ErrRestored where the progress went back, and with ErrFenced where
// somebody claimed the partition, or moved its progress, since.
func (m Memory) Check(progress Memory) error {
	switch {
	case progress.Behind(m):
		return &RestoredError{Known: m, Found: progress}
	case progress.Epoch > m.Epoch:
		return fmt.Errorf("%w: epoch %d, not %d", ErrFenced, progress.Epoch, m.Epoch)
	}
	return nil
}

// RestoredError says where a progress stands that is behind what is known of it. It
// is ErrRestored.
type RestoredError struct{ Known, Found Memory }

func (e *RestoredError) Error() string {
	return fmt.Sprintf("%v: the progress stands at log %d, offset %d (epoch %d), and was at log %d, offset %d (epoch %d)", ErrRestored,
		e.Found.Log, e.Found.NextOffset, e.Found.Epoch, e.Known.Log, e.Known.NextOffset, e.Known.Epoch)
}

func (e *RestoredError) Unwrap() error { return ErrRestored }
