package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// copyOrder tells the part what to copy: the operations that were decided since a
// moment in one database, into another one.
type copyOrder struct {
	From        string    `json:"from"`
	Into        string    `json:"into"`
	Since       time.Time `json:"since"`
	Connections int       `json:"connections"`
	Warm        bool      `json:"warm"` // the first half of each list is copied before the clock starts
}

// copyReady says what is going to be copied.
type copyReady struct {
	Rows int64 `json:"rows"`
}

// copyDone says how much was copied, and how long it took.
type copyDone struct {
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"`
}

// copyRows copies what was settled in one database into another one and measures
// it: the same rows, encoded before the clock starts, the same transactions, over
// as many connections as the processors settled through, one after the other in
// each partition.
func (r *run) copyRows(ctx context.Context, w *world, s settleSpec, from, into *database, since time.Time) (found copied, err error) {
	p, err := r.start(ctx, partCopy, partEnviron()...)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.tell(copyOrder{
		From: from.url, Into: into.url, Since: since, Connections: min(w.partitions, s.processors*maxSettles), Warm: s.warm,
	}); err != nil {
		return found, err
	}
	var ready copyReady
	if err := p.hear(ctx, &ready); err != nil {
		return found, err
	}
	if ready.Rows != w.tally.charges {
		return found, fmt.Errorf("%d rows were read to copy, not %d", ready.Rows, w.scale.charges)
	}
	processes := r.metered("copy", p)
	err = r.withConn(ctx, into.url, func(conn *pgx.Conn) error {
		before, err := readStand(ctx, conn)
		if err != nil {
			return err
		}
		before.used = read(processes)
		if err := p.tell("go"); err != nil {
			return err
		}
		var done copyDone
		if err := p.hear(ctx, &done); err != nil {
			return err
		}
		used := read(processes)
		after, err := readStand(ctx, conn)
		if err != nil {
			return err
		}
		found = copied{
			rate: float64(done.Rows) / done.Seconds,
			wal:  float64(after.wal-before.wal) / float64(done.Rows),
			cpu:  between(processes, before.used, used, done.Rows),
		}
		return nil
	})
	return found, err
}

// runCopy is the part.
func runCopy(ctx context.Context, c *child) error {
	var order copyOrder
	if err := c.told(ctx, &order); err != nil {
		return err
	}
	from, err := pgx.Connect(ctx, order.From)
	if err != nil {
		return err
	}
	columns, lists, rows, err := readTransactions(ctx, from, order.Since)
	if err = errors.Join(err, from.Close(ctx)); err != nil {
		return err
	}
	conns := make([]*pgx.Conn, order.Connections)
	for i := range conns {
		if conns[i], err = pgx.Connect(ctx, order.Into); err != nil {
			return err
		}
		defer conns[i].Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was copied is committed
	}
	sql := "copy operations (" + columns + ") from stdin (format binary)"
	if order.Warm {
		var first [][][]byte
		first, lists = halves(lists)
		if _, err := copyAll(ctx, conns, sql, first); err != nil {
			return err
		}
	}
	if err := c.say(copyReady{Rows: rows}); err != nil {
		return err
	}
	var start string
	if err := c.told(ctx, &start); err != nil {
		return err
	}
	began := time.Now()
	copied, err := copyAll(ctx, conns, sql, lists)
	if err != nil {
		return err
	}
	if err := c.say(copyDone{Rows: copied, Seconds: time.Since(began).Seconds()}); err != nil {
		return err
	}
	<-ctx.Done() // whoever started us reads our time first
	return nil
}

// halves cuts each list in its middle.
func halves(lists [][][]byte) (first, second [][][]byte) {
	for _, list := range lists {
		middle := len(list) / 2
		first, second = append(first, list[:middle]), append(second, list[middle:])
	}
	return first, second
}

// copyAll copies the lists of transactions, each in its order, on the connections.
func copyAll(ctx context.Context, conns []*pgx.Conn, sql string, lists [][][]byte) (rows int64, err error) {
	var total atomic.Int64
	next := make(chan [][]byte, len(lists))
	for _, list := range lists {
		next <- list
	}
	close(next)
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range conns {
		group.Go(func() error {
			for list := range next {
				for _, rows := range list {
					tag, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(rows), sql)
					if err != nil {
						return err
					}
					total.Add(tag.RowsAffected())
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return total.Load(), err
}

// The binary format of COPY.
const (
	copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	// leading fields are read beside a row to know its transaction: partition and
	// time of decision.
	leading = 2
)

// readTransactions reads the charges decided since then in COPY's binary format:
// for each partition the transactions that they were settled in, in order. All
// rows of one settle have one time of decision.
func readTransactions(ctx context.Context, conn *pgx.Conn, since time.Time) (columns string, lists [][][]byte, rows int64, err error) {
	if err := conn.QueryRow(ctx, `select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
		where attrelid = 'operations'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`).Scan(&columns); err != nil {
		return "", nil, 0, fmt.Errorf("read columns: %w", err)
	}
	sql := fmt.Sprintf(`copy (select partition, decided_at, %s from operations where decided_at >= '%s' and kind = 'charge'
		order by partition, log_offset) to stdout (format binary)`, columns, since.UTC().Format(time.RFC3339Nano))
	in, out := io.Pipe()
	var tag pgconn.CommandTag
	var group errgroup.Group
	group.Go(func() (err error) {
		tag, err = conn.PgConn().CopyTo(ctx, out, sql)
		return errors.Join(err, out.CloseWithError(err))
	})
	group.Go(func() (err error) {
		lists, rows, err = split(in)
		return errors.Join(err, in.CloseWithError(err))
	})
	if err := group.Wait(); err != nil {
		return "", nil, 0, fmt.Errorf("read rows: %w", err)
	}
	if tag.RowsAffected() != rows {
		return "", nil, 0, fmt.Errorf("%d rows came, and %d were read", tag.RowsAffected(), rows)
	}
	return columns, lists, rows, nil
}

// split reads rows in COPY's binary format and makes a COPY of each run of rows
// whose leading fields are equal; a list of those for each value of the first
// field. The leading fields are left out.
func split(from io.Reader) (lists [][][]byte, rows int64, err error) {
	in := newFields(from)
	var at, last [leading][]byte
	var list [][]byte
	for in.header(); ; rows++ {
		n, more := in.row()
		if !more {
			break
		}
		for i := range at {
			at[i] = append(at[i][:0], in.field()...)
		}
		if list == nil || !bytes.Equal(at[0], last[0]) {
			lists, list = append(lists, nil), nil
		}
		if list == nil || !bytes.Equal(at[1], last[1]) {
			list = append(list, []byte(copyHeader))
		}
		for i := range at {
			last[i] = append(last[i][:0], at[i]...)
		}
		row := binary.BigEndian.AppendUint16(list[len(list)-1], uint16(n-leading))
		for range n - leading {
			row = append(row, in.field()...)
		}
		list[len(list)-1], lists[len(lists)-1] = row, list
	}
	for _, list := range lists {
		for i := range list {
			list[i] = append(list[i], 0xff, 0xff)
		}
	}
	return lists, rows, in.err
}

// fields reads COPY's binary format. Its first error stays.
type fields struct {
	in   io.Reader
	buf  []byte
	err  error
	size [4]byte
}

func newFields(in io.Reader) *fields { return &fields{in: in} }

func (f *fields) read(b []byte) []byte {
	if f.err == nil {
		_, f.err = io.ReadFull(f.in, b)
	}
	if f.err != nil {
		clear(b)
	}
	return b
}

func (f *fields) header() {
	if string(f.read(make([]byte, len(copyHeader)))) != copyHeader && f.err == nil {
		f.err = errors.New("not what COPY writes")
	}
}

// row is how many fields the next row has; false: there is no other row.
func (f *fields) row() (int, bool) {
	n := int16(binary.BigEndian.Uint16(f.read(f.size[:2])))
	if n >= 0 && n < leading && f.err == nil {
		f.err = errors.New("a row is too short")
	}
	return int(n), n > 0 && f.err == nil
}

// field is the next field with its length before it, good until the next call.
func (f *fields) field() []byte {
	n := max(0, int(int32(binary.BigEndian.Uint32(f.read(f.size[:])))))
	f.buf = append(f.buf[:0], f.size[:]...)
	for len(f.buf) < len(f.size)+n {
		f.buf = append(f.buf, 0)
	}
	f.read(f.buf[len(f.size):])
	return f.buf
}
