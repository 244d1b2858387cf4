package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/newest_operations.sql
	newestOperationsSQL string
	//go:embed queries/operations_at.sql
	operationsAtText string
)

const (
	// newestRows is how many operations of each partition a page of everything reads at first.
	newestRows = 8
	// maxMerged is of how many partitions a page is merged. The first look at 1,024 reads 8,192 rows, and
	// the cursor, which has a position of each, is some 7 kB.
	maxMerged = 1024
)

// Audit is a page of what was done; see [ingest.Registry].
func (s *Store) Audit(ctx context.Context, f ingest.AuditFilter) (page ingest.AuditPage, err error) {
	if wallet, err := ledger.ParseWalletID(f.About); err == nil && !f.ChangesOnly {
		operations, err := s.List(ctx, ingest.Filter{Wallet: wallet, Limit: f.Limit, After: f.After})
		return ingest.AuditPage{Entries: operationEntries(operations), Next: operations.Next}, err
	}
	changes, err := s.changes(ctx, f)
	if err != nil {
		return ingest.AuditPage{}, err
	}
	sources := []*auditSource{changes}
	if merchant, err := ledger.ParseMerchantID(f.About); err == nil && !f.ChangesOnly {
		operations, err := s.List(ctx, ingest.Filter{Merchant: merchant, Limit: f.Limit, After: f.After})
		if err != nil {
			return ingest.AuditPage{}, err
		}
		of := &auditSource{more: operations.Next != nil}
		for _, e := range operationEntries(operations) {
			of.lines = append(of.lines, auditLine{at: e.Operation.DecidedAt, id: e.Operation.ID, entry: e})
		}
		sources = append(sources, of)
	}
	if f.About == "" && !f.ChangesOnly {
		page, err = s.auditAll(ctx, f, changes)
		if err != nil {
			return ingest.AuditPage{}, fmt.Errorf("list what was done: %w", err)
		}
		return page, nil
	}
	lines, _, more := mergeAudit(sources, f.Limit)
	return auditPage(lines, more), nil
}

func operationEntries(page ingest.Page) []ingest.AuditEntry {
	entries := make([]ingest.AuditEntry, len(page.Operations))
	for i := range page.Operations {
		entries[i].Operation = &page.Operations[i]
	}
	return entries
}

// auditLine is something in a list of what was done, which goes by time and ID.
type auditLine struct {
	at    time.Time
	id    [16]byte // zero: its source goes by position
	entry ingest.AuditEntry

	partition int   // of an operation that is to be read yet
	position  int64 // 0: it is there
}

// behind is negative if a comes before b: it is newer.
func behind(a, b auditLine) int {
	if c := b.at.Compare(a.at); c != 0 {
		return c
	}
	return bytes.Compare(b.id[:], a.id[:])
}

// auditSource is a list to be merged with others, newest first.
type auditSource struct {
	lines []auditLine
	more  bool // behind its lines

	partition int
	below     int64 // position below which its lines are
}

// mergeAudit is the first of what the sources hold, and whether there is more. Of the sources that are
// short, it is not known what comes behind their lines, though it may belong to the page: the page ends there.
func mergeAudit(sources []*auditSource, limit int) (page []auditLine, short []*auditSource, more bool) {
	for _, s := range sources {
		page = append(page, s.lines...)
	}
	slices.SortStableFunc(page, behind)
	if len(page) > limit {
		page, more = page[:limit], true
	}
	end := len(page)
	for _, s := range sources {
		if !s.more {
			continue
		}
		more = true
		last := s.lines[len(s.lines)-1]
		known := slices.IndexFunc(page, func(l auditLine) bool { return behind(l, last) > 0 })
		switch {
		case known >= 0:
			end = min(end, known)
		case len(page) == limit:
			continue
		}
		short = append(short, s)
	}
	return page[:end], short, more
}

// auditPage is the page of the lines.
func auditPage(lines []auditLine, more bool) (page ingest.AuditPage) {
	for _, l := range lines {
		page.Entries = append(page.Entries, l.entry)
	}
	if more {
		last := lines[len(lines)-1]
		page.Next = &ingest.Cursor{DecidedAt: last.at, ID: last.id}
	}
	return page
}

// auditAll merges the changes with the operations of all partitions. Those of a partition
// come in the order of their positions, which is that of their times unless the database's
// clock was put back; the cursor keeps a position of each, so that none is lost even then.
func (s *Store) auditAll(ctx context.Context, f ingest.AuditFilter, changes *auditSource) (ingest.AuditPage, error) {
	if s.deployment.Partitions > maxMerged {
		return ingest.AuditPage{}, ingest.ErrTooWide
	}
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return ingest.AuditPage{}, err
	}
	defer end()
	partitions := make([]*auditSource, s.deployment.Partitions)
	for p := range partitions {
		partitions[p] = &auditSource{partition: p, below: math.MaxInt64}
		if f.After != nil && p < len(f.After.Bounds) {
			partitions[p].below = f.After.Bounds[p]
		}
	}
	sources := append([]*auditSource{changes}, partitions...)
	short := partitions
	var lines []auditLine
	var more bool
	for len(short) > 0 {
		if err := s.readNewest(ctx, short, f.After); err != nil {
			return ingest.AuditPage{}, err
		}
		lines, short, more = mergeAudit(sources, f.Limit)
	}
	shown, err := s.readLines(ctx, lines)
	if err != nil {
		return ingest.AuditPage{}, err
	}
	page := auditPage(shown, more || len(shown) < len(lines))
	if page.Next != nil {
		page.Next.Bounds = positionsBehind(partitions, shown)
	}
	return page, nil
}

// readNewest reads more of the partitions: as much as before, and so twice as much in all.
// What is read bears the time of the line before it where its own is later.
func (s *Store) readNewest(ctx context.Context, partitions []*auditSource, after *ingest.Cursor) error {
	var numbers, rows []int32
	var below []int64
	want := map[int]*auditSource{}
	wanted := map[int]int{}
	for _, p := range partitions {
		more, from := max(newestRows, len(p.lines)), p.below
		if len(p.lines) > 0 {
			from = p.lines[len(p.lines)-1].position
		}
		numbers, below, rows = append(numbers, int32(p.partition)), append(below, from), append(rows, int32(more))
		want[p.partition], wanted[p.partition] = p, len(p.lines)+more
	}
	result, err := s.pool.Query(ctx, newestOperationsSQL, numbers, below, rows)
	if err != nil {
		return err
	}
	l := auditLine{}
	if _, err := pgx.ForEachRow(result, []any{&l.partition, &l.position, &l.at}, func() error {
		p := want[l.partition]
		l.at = l.at.UTC()
		switch {
		case len(p.lines) > 0:
			l.at = earlier(l.at, p.lines[len(p.lines)-1].at)
		case after != nil:
			l.at = earlier(l.at, after.DecidedAt)
		}
		p.lines = append(p.lines, l)
		return nil
	}); err != nil {
		return err
	}
	for number, p := range want {
		p.more = len(p.lines) == wanted[number]
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// readLines reads the operations of the lines. It ends behind the operation with which their
// texts take too much.
func (s *Store) readLines(ctx context.Context, lines []auditLine) ([]auditLine, error) {
	var partitions []int32
	var positions []int64
	for _, l := range lines {
		if l.position > 0 {
			partitions, positions = append(partitions, int32(l.partition)), append(positions, l.position)
		}
	}
	if len(positions) == 0 {
		return lines, nil
	}
	rows, err := s.pool.Query(ctx, operationsAtSQL, len(positions), pageBytes, partitions, positions)
	if err != nil {
		return nil, err
	}
	page, err := collectPage(rows, len(positions))
	if err != nil {
		return nil, err
	}
	entries := operationEntries(page)
	for i := range lines {
		if lines[i].position == 0 {
			continue
		}
		if len(entries) == 0 {
			return lines[:i], nil
		}
		lines[i].entry, entries = entries[0], entries[1:]
	}
	return lines, nil
}

// positionsBehind is the position of each partition below which the next page begins. What
// was decided since the first page was read is in none.
func positionsBehind(partitions []*auditSource, shown []auditLine) []int64 {
	behind := make([]int64, len(partitions))
	for i, p := range partitions {
		if behind[i] = 1; len(p.lines) > 0 {
			behind[i] = p.lines[0].position + 1
		}
	}
	for _, l := range shown {
		if l.position > 0 {
			behind[l.partition] = l.position
		}
	}
	return behind
}
