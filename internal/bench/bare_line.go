package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	// bareFetchWait is how long the broker holds a fetch that finds nothing, as ours does, and
	// bareFetchPause how long to wait after one that failed: a topic that was just made
	// has no leader yet.
	bareFetchWait  = 250 * time.Millisecond
	bareFetchPause = 50 * time.Millisecond
	bareFetchBytes = 1 << 20
	// bareLineValue makes a row as wide as an operation that is a charge of ours, in bytes.
	bareLineValue = 316

	createBareLine = "create table line (partition int not null, id uuid not null, value bytea not null, primary key (partition, id))"
	copyBareLine   = "copy line (partition, id, value) from stdin (format binary)"
	readBareLine   = "select value from line where partition = $1 and id = $2"
	countBareLine  = "select count(*) from line"
)

// bareLine is the least that can be between POST and outcome: a charge gets an ID and
// is produced, one writer copies what was fetched of all partitions into a table and
// commits, and whoever asks reads the row by its key. Nothing is decided, and nobody
// knows who asks or whether that was asked before.
type bareLine struct {
	*bare
	fetched chan []lineRow
}

// lineRow is a charge that was fetched.
type lineRow struct {
	partition int
	id        ledger.OperationID
	value     []byte
}

func runBareLine(ctx context.Context, c *child) error {
	return serveBare(ctx, c, func(ctx context.Context, b *bare, router chi.Router, group *errgroup.Group) error {
		conn, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig)
		if err != nil {
			return err
		}
		l := &bareLine{bare: b, fetched: make(chan []lineRow, len(b.partitions))}
		for p := range b.partitions {
			group.Go(func() error { return l.fetch(ctx, p) })
		}
		group.Go(func() error {
			defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was copied is committed
			return l.write(ctx, conn.PgConn())
		})
		router.Post(bareCharges, l.charge)
		router.Get(bareOperation, l.operation)
		return nil
	})
}

func (l *bareLine) charge(w http.ResponseWriter, r *http.Request) {
	wallet, err := ledger.ParseWalletID(chi.URLParam(r, "wallet"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	id := ledger.OperationID(newID())
	binary.BigEndian.PutUint16(id[:], wallet.Bucket()) // of the wallet's partition
	l.take(w, r, id.String(), id.Partition(len(l.partitions)))
}

func (l *bareLine) operation(w http.ResponseWriter, r *http.Request) {
	text := chi.URLParam(r, "id")
	id, err := ledger.ParseOperationID(text)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	partition := id.Partition(len(l.partitions))
	var value []byte
	err = l.pool.QueryRow(r.Context(), readBareLine, partition, pgtype.UUID{Bytes: id, Valid: true}).Scan(&value)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		answer(w, http.StatusOK, barePending{ID: text, Object: "operation", Kind: "charge", Status: "pending", Partition: partition})
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		q := l.request
		answer(w, http.StatusOK, bareDecided{
			ID: text, Object: "operation", Kind: string(q.Kind), Status: "accepted", Done: true, WalletID: q.Wallet.String(),
			MerchantID: q.Merchant.String(), Amount: q.Amount, Currency: string(q.Currency), Invoice: q.Invoice, Description: q.Description,
			Sequence: int64(len(value)), BalanceAfter: topUp, ReceivedAt: q.ReceivedAt, DecidedAt: q.ReceivedAt,
		})
	}
}

// fetch reads a partition from its first record on, and hands over what it reads.
func (l *bareLine) fetch(ctx context.Context, partition int) error {
	var offset int64
	for {
		rows, next, err := l.fetchOnce(ctx, partition, offset)
		var refused kafkago.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.Temporary():
			_ = pause(ctx, bareFetchPause) // ctx is asked for next
			continue
		case err != nil:
			return fmt.Errorf("fetch partition %d: %w", partition, err)
		}
		offset = next
		if len(rows) == 0 {
			continue
		}
		select {
		case l.fetched <- rows:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *bareLine) fetchOnce(ctx context.Context, partition int, offset int64) (rows []lineRow, next int64, err error) {
	answer, err := l.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: l.topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: bareFetchBytes, MaxWait: bareFetchWait,
	})
	if err != nil {
		return nil, offset, err
	}
	if answer.Error != nil {
		return nil, offset, answer.Error
	}
	for {
		record, err := answer.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return rows, offset, nil
		}
		if err != nil {
			return nil, offset, err
		}
		key, err := protocol.ReadAll(record.Key)
		if err != nil {
			return nil, offset, err
		}
		value, err := protocol.ReadAll(record.Value)
		if err != nil {
			return nil, offset, err
		}
		id, err := ledger.ParseOperationID(string(key))
		if err != nil {
			return nil, offset, err
		}
		rows, offset = append(rows, lineRow{partition, id, value[:min(len(value), bareLineValue)]}), record.Offset+1
	}
}

// write copies whatever waits in one transaction, and commits; then the next one.
func (l *bareLine) write(ctx context.Context, conn *pgconn.PgConn) error {
	var buf bytes.Buffer
	for {
		buf.Reset()
		buf.WriteString(copyHeader)
		select {
		case <-ctx.Done():
			return nil
		case rows := <-l.fetched:
			appendRows(&buf, rows)
		}
		for more := true; more; {
			select {
			case rows := <-l.fetched:
				appendRows(&buf, rows)
			default:
				more = false
			}
		}
		buf.WriteString("\xff\xff")
		if _, err := conn.CopyFrom(ctx, &buf, copyBareLine); err != nil { // it commits by itself
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("copy: %w", err)
		}
	}
}

// appendRows writes them as the binary format of COPY has them.
func appendRows(buf *bytes.Buffer, rows []lineRow) {
	b := buf.AvailableBuffer()
	for _, row := range rows {
		b = binary.BigEndian.AppendUint16(b, 3)
		b = binary.BigEndian.AppendUint32(b, 4)
		b = binary.BigEndian.AppendUint32(b, uint32(row.partition))
		for _, field := range [][]byte{row.id[:], row.value} {
			b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
			b = append(b, field...)
		}
	}
	buf.Write(b)
}

// startBareLine starts a bare line over as many partitions as the world has, with a topic and a database of its own. What it
// returns is to be stopped even where it failed.
func (r *run) startBareLine(ctx context.Context, w *world) (*line, error) {
	l := &line{name: "the bare line"}
	topic := r.name()
	cluster, err := kafka.NewCluster(r.brokers, w.topic)
	if err != nil {
		return l, err
	}
	defer cluster.Close()
	if err := cluster.CreateTopic(ctx, topic, w.partitions, 1); err != nil {
		return l, err
	}
	d, err := r.copyOf(ctx, "template0")
	if err != nil {
		return l, err
	}
	if err := r.exec(ctx, d.url, createBareLine); err != nil {
		return l, err
	}
	p, at, err := r.startBare(ctx, partBareLine, w.partitions, topic, d)
	if err != nil {
		return l, err
	}
	l.address, l.parts, l.processes = at, []*part{p}, r.metered("bare", p)
	l.rest = func(ctx context.Context) (rows int64, err error) {
		err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
			return l.until(ctx, func() (bool, error) {
				err := conn.QueryRow(ctx, countBareLine).Scan(&rows)
				return rows >= l.taken, err
			})
		})
		return rows, err
	}
	return l, nil
}
