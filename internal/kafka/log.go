package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// trustFor is how long a good fetch vouches for the log. A fetch that comes later
// after the last one checks the log first: a broker that went away and came back
// meanwhile may have come back with another log.
const trustFor = time.Second

// haltError says that the partition's state cannot be right.
type haltError struct{ cause error }

func (e *haltError) Error() string { return e.cause.Error() }

func (e *haltError) Unwrap() error { return e.cause }

func haltf(format string, args ...any) error { return &haltError{fmt.Errorf(format, args...)} }

// logReader reads a partition's log onwards from the next offset to settle, and only while
// it is the log that was settled.
type logReader struct {
	source *source
	known  Topic
	// partition, next offset and, where known, the hash of the record before it
	partition int
	next      int64
	before    func() *record.Hash

	looked    time.Time // what the brokers said of the topic since then is asked no more
	trusted   time.Time // when it was last seen to be the right log; zero: not yet
	fetchSize int64     // bytes to ask for as a rule
	limit     int64     // bytes to ask for next
	end       int64     // the high watermark when it was last seen

	watches *watches  // nil: it fetches for itself whether it is idle or not
	quiet   time.Time // since when nothing came; zero: something did last
	watched *watched  // nil: the partition is not watched
}

// openLog is the log of a claim. A fetch asks for fetchSize bytes as a rule. close ends it.
func openLog(c *Cluster, claim processor.Claim, fetchSize int64) *logReader {
	return &logReader{
		source:    &source{cluster: c, topic: claim.Topic, partition: claim.Partition},
		known:     Topic{Name: claim.Topic, Partitions: claim.Partitions, ClusterID: claim.ClusterID},
		partition: claim.Partition,
		next:      claim.NextOffset,
		before:    func() *record.Hash { return claim.LastRecord },
		fetchSize: fetchSize,
		limit:     fetchSize,
		end:       claim.NextOffset,
	}
}

func (l *logReader) close() {
	l.stir()
	l.source.close()
}

// stir says that something came, or that this is not known: the partition is not idle.
func (l *logReader) stir() {
	l.quiet = time.Time{}
	if l.watched != nil {
		l.watched.leave()
		l.watched = nil
	}
}

// read waits a little for what follows from the next offset on, and moves on behind it. It
// fails with a haltError when this is not the log that we know, and where it has a
// hole at that offset; every other error may pass.
func (l *logReader) read(ctx context.Context) (fetched, error) {
	found, told, err := l.watch(ctx)
	if !told {
		found, err = l.fetch(ctx)
	}
	if err == nil && found.highWatermark < l.next {
		err = fmt.Errorf("the log ends at %d, before the next offset %d", found.highWatermark, l.next)
	}
	if err != nil {
		l.trusted = time.Time{}
		l.stir()
		return fetched{}, err
	}
	l.end = found.highWatermark
	if found.sent.After(l.trusted) {
		l.trusted = found.sent
	}
	if l.end > l.next {
		l.stir()
	} else if l.quiet.IsZero() {
		l.quiet = time.Now()
	}
	switch {
	case found.to > l.next:
		l.limit = l.fetchSize
		l.advance(found)
	case len(found.holes) > 0:
		return fetched{}, &haltError{found.holes[0]}
	case found.highWatermark > l.next:
		l.limit = min(2*l.limit, maxFetchBytes) // a record may be larger than what we asked for
	}
	return found, nil
}

// watch waits for what the watch says, where the partition is idle. Told is false where it
// fetches for itself: also until a request of the watch holds it. While it is watched it has no
// connection.
func (l *logReader) watch(ctx context.Context) (found fetched, told bool, err error) {
	if l.watches == nil || l.quiet.IsZero() || time.Since(l.quiet) < idleAfter {
		return fetched{}, false, nil
	}
	if l.watched == nil {
		l.watched = l.watches.join(l.source.broker, l.partition, l.next)
	}
	if !l.watched.isHeld() {
		return fetched{}, false, nil
	}
	l.source.close()
	n, err := l.watched.await(ctx)
	if err == nil {
		err = n.err
	}
	if err != nil {
		return fetched{}, true, fmt.Errorf("watch: %w", err)
	}
	found = l.source.read(n.answered, l.next, l.limit)
	if n.last && (found.to == l.next || !l.isTrusted()) { // there is more than the watch brought, or the log is to be looked at first
		l.stir()
		return fetched{}, false, nil
	}
	return found, true, nil
}

// fetch fetches from the next offset on, of a log that is trusted.
func (l *logReader) fetch(ctx context.Context) (fetched, error) {
	if !l.isTrusted() {
		if err := l.verify(ctx); err != nil {
			return fetched{}, err
		}
	}
	return l.source.fetch(ctx, l.next, l.limit)
}

func (l *logReader) isTrusted() bool { return time.Since(l.trusted) <= trustFor }

// advance moves the next offset and remembers the record before it.
func (l *logReader) advance(found fetched) {
	l.next = found.to
	if n := len(found.records); n > 0 && found.records[n-1].Offset == found.to-1 {
		last := found.records[n-1]
		l.before = func() *record.Hash {
			hash := last.Hash()
			return &hash
		}
		return
	}
	l.before = func() *record.Hash { return nil }
}

// verify compares Kafka with what is known: the cluster, the size and the settings of
// the topic, the bounds of the log and the record before the next offset.
func (l *logReader) verify(ctx context.Context) error {
	since := l.looked
	l.looked = time.Time{}
	if time.Since(since) > trustFor {
		since = time.Now()
	}
	_, err := l.source.cluster.seen(ctx, l.known, since)
	if refuses(err) {
		return &haltError{err}
	}
	if err != nil {
		return err
	}
	if l.reaches(ctx) {
		l.trusted = time.Now()
		return nil
	}
	start, end, err := l.source.cluster.Offsets(ctx, l.known.Name, l.partition)
	if err != nil {
		return err
	}
	l.end = end
	if start > l.next {
		return haltf("the log starts at %d, after the next offset %d", start, l.next)
	}
	if end < l.next {
		return haltf("the log ends at %d, before the next offset %d", end, l.next)
	}
	if start < l.next {
		if err := l.compare(ctx); err != nil {
			return err
		}
	}
	l.trusted = time.Now()
	return nil
}

// reaches reports whether the record before the next offset was read, and is the one that
// was settled: then that offset lies within the bounds of the log, and they need not be
// asked for. Where it does not, they say why.
func (l *logReader) reaches(ctx context.Context) bool {
	want := l.before()
	if want == nil {
		return false
	}
	found, err := l.source.fetch(ctx, l.next-1, leastFetchBytes)
	if err != nil || len(found.records) == 0 || found.records[0].Offset != l.next-1 || found.records[0].Hash() != *want {
		return false
	}
	l.end = found.highWatermark
	return true
}

// compare reads the record before the next offset again.
func (l *logReader) compare(ctx context.Context) error {
	want := l.before()
	if want == nil {
		return nil
	}
	offset := l.next - 1
	found, err := l.source.some(ctx, offset)
	if err != nil {
		return err
	}
	if found.to == offset {
		return &haltError{found.holes[0]}
	}
	if len(found.records) == 0 || found.records[0].Offset != offset {
		return haltf("the log holds no record at offset %d any more", offset)
	}
	if found.records[0].Hash() != *want {
		return haltf("the log holds another record at offset %d than was settled", offset)
	}
	return nil
}
