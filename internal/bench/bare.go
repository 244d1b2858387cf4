package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	// bareQueue is how many records of a partition wait to be written, and
	// bareBatch how many are written at once.
	bareQueue = 8192
	bareBatch = 1000
	// bareConns is how many connections to Postgres the handler has: as many as ingest.
	bareConns         = 10
	bareHeaderTimeout = 5 * time.Second

	bareCharges   = "/v1/wallets/{wallet}/charges"
	bareOperation = "/v1/operations/{id}"
)

//go:embed bare.sql
var bareSQL string

// bareOptions are what the part is told.
type bareOptions struct {
	Brokers    []string `json:"brokers"`
	Topic      string   `json:"topic"`
	Partitions int      `json:"partitions"`
	Database   string   `json:"database"`
}

// bare is the least that a service like ingest can be: a chi handler that
// produces the bytes of a charge, and one that reads an operation's row. Neither
// knows who asks, what is asked, or whether that was asked before.
type bare struct {
	pool       *pgxpool.Pool
	client     *kafkago.Client
	topic      string
	request    ledger.Request // that the bytes are of
	value      []byte
	headers    []kafkago.Header
	partitions []*bareLane
}

// runBare serves the two.
func runBare(ctx context.Context, c *child) error {
	return serveBare(ctx, c, func(_ context.Context, b *bare, router chi.Router, _ *errgroup.Group) error {
		router.Post(bareCharges, b.charge)
		router.Get(bareOperation, b.operation)
		return nil
	})
}

// serveBare serves what build adds to the router, on a port that it tells. What else
// build starts in the group ends with it.
func serveBare(ctx context.Context, c *child, build func(context.Context, *bare, chi.Router, *errgroup.Group) error) error {
	var o bareOptions
	if err := c.told(ctx, &o); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(o.Database)
	if err != nil {
		return err
	}
	config.MaxConns = bareConns
	b := &bare{topic: o.Topic}
	if b.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	defer b.pool.Close()
	if err := b.model(); err != nil {
		return err
	}
	transport := &kafkago.Transport{MetadataTopics: []string{o.Topic}}
	defer transport.CloseIdleConnections()
	b.client = &kafkago.Client{Addr: kafkago.TCP(o.Brokers...), Transport: transport}
	group, ctx := errgroup.WithContext(ctx)
	for p := range o.Partitions {
		lane := &bareLane{client: b.client, topic: o.Topic, partition: p, waiting: make(chan *bareRecord, bareQueue)}
		b.partitions = append(b.partitions, lane)
		group.Go(func() error { return lane.run(ctx) })
	}
	router := chi.NewRouter()
	if err := build(ctx, b, router, group); err != nil {
		return err
	}
	server := &http.Server{Handler: router, ReadHeaderTimeout: bareHeaderTimeout}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := c.say(address{listener.Addr().String()}); err != nil {
		return err
	}
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return group.Wait()
}

// model makes the bytes that are produced: those of a charge as [submission] asks
// for.
func (b *bare) model() error {
	minter, err := ledger.NewMinter([]byte(secret))
	if err != nil {
		return err
	}
	q := ledger.Request{
		Kind: ledger.KindCharge, Wallet: newID(), Merchant: newID(), Amount: submitAmount, Currency: currency,
		Invoice: fmt.Sprintf("INV-%0*d", numberDigits, 1), Description: submitDescription,
		IdempotencyKey: fmt.Sprintf("order-%0*d", numberDigits, 1), ReceivedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	q.Asker = ledger.Asker{Party: ledger.AsMerchant(q.Merchant), Key: newID()}
	q.ID = minter.OperationID(q.Identity())
	record, err := encoded(q)
	if err != nil {
		return err
	}
	b.request, b.value = q, record.Value
	for _, h := range record.Headers {
		b.headers = append(b.headers, kafkago.Header(h))
	}
	return nil
}

func (b *bare) charge(w http.ResponseWriter, r *http.Request) {
	wallet := chi.URLParam(r, "wallet")
	all := make([]int, len(b.partitions))
	for i := range all {
		all[i] = i
	}
	b.take(w, r, wallet, kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: []byte(wallet)}, all...))
}

// take answers 202 once the bytes are in the partition, under that key.
func (b *bare) take(w http.ResponseWriter, r *http.Request, key string, partition int) {
	if _, err := io.ReadAll(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	offset, err := b.partitions[partition].produce(r.Context(), kafkago.Record{
		Key: kafkago.NewBytes([]byte(key)), Value: kafkago.NewBytes(b.value), Headers: b.headers,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer(w, http.StatusAccepted, barePending{
		ID: key, Object: "operation", Kind: "charge", Status: "pending", Partition: partition, Offset: offset,
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// barePending is what a 202 says.
type barePending struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Kind      string `json:"kind"`
	Status    string `json:"status"`
	Done      bool   `json:"done"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}

// bareLane writes the records of a partition: one batch is in flight, and what
// comes meanwhile makes the next one.
type bareLane struct {
	client    *kafkago.Client
	topic     string
	partition int
	waiting   chan *bareRecord
}

type bareRecord struct {
	record kafkago.Record
	offset int64
	err    error
	done   chan struct{}
}

func (l *bareLane) produce(ctx context.Context, record kafkago.Record) (int64, error) {
	r := &bareRecord{record: record, done: make(chan struct{})}
	select {
	case l.waiting <- r:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case <-r.done:
		return r.offset, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (l *bareLane) run(ctx context.Context) error {
	for {
		var batch []*bareRecord
		select {
		case <-ctx.Done():
			return nil
		case r := <-l.waiting:
			batch = append(batch, r)
		}
		for len(batch) < bareBatch && len(l.waiting) > 0 {
			batch = append(batch, <-l.waiting)
		}
		records := make([]kafkago.Record, len(batch))
		for i, r := range batch {
			records[i] = r.record
		}
		answer, err := l.client.Produce(ctx, &kafkago.ProduceRequest{
			Topic: l.topic, Partition: l.partition, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
		})
		if err == nil {
			err = answer.Error
		}
		for i, r := range batch {
			if r.err = err; err == nil {
				r.offset = answer.BaseOffset + int64(i)
			}
			close(r.done)
		}
	}
}

func (b *bare) operation(w http.ResponseWriter, r *http.Request) {
	text := chi.URLParam(r, "id")
	id, err := ledger.ParseOperationID(text)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	var row bareRow
	if err := b.pool.QueryRow(r.Context(), bareSQL, id.Partition(len(b.partitions)), pgtype.UUID{Bytes: id, Valid: true}).
		Scan(row.targets()...); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, http.StatusOK, row.decided(text))
}

// bareRow receives the columns of bare.sql.
type bareRow struct {
	logOffset, sequence, amount, balanceAfter, conflicts pgtype.Int8
	receivedAt, decidedAt, applyBefore                   pgtype.Timestamptz
	log                                                  pgtype.Int4
	wallet, merchant, client, duplicateOf, owner         pgtype.UUID
	kind, reason, currency, statusAfter                  pgtype.Text
	fingerprint, digest                                  []byte
	key, invoice, description, metadata                  pgtype.Text
}

func (r *bareRow) targets() []any {
	return []any{
		&r.logOffset, &r.sequence, &r.amount, &r.balanceAfter, &r.receivedAt, &r.decidedAt, &r.applyBefore, &r.log,
		&r.wallet, &r.merchant, &r.client, &r.duplicateOf, &r.kind, &r.reason, &r.currency, &r.statusAfter, &r.fingerprint,
		&r.digest, &r.key, &r.invoice, &r.description, &r.metadata, &r.owner, &r.conflicts,
	}
}

func (r *bareRow) decided(id string) bareDecided {
	return bareDecided{
		ID: id, Object: "operation", Kind: r.kind.String, Status: "accepted", Done: true,
		WalletID: ledger.WalletID(r.wallet.Bytes).String(), MerchantID: ledger.MerchantID(r.merchant.Bytes).String(),
		Amount: r.amount.Int64, Currency: r.currency.String, Invoice: r.invoice.String, Description: r.description.String,
		Sequence: r.sequence.Int64, BalanceAfter: r.balanceAfter.Int64, Conflicts: r.conflicts.Int64,
		ReceivedAt: r.receivedAt.Time, DecidedAt: r.decidedAt.Time,
	}
}

// bareDecided is what a decided operation says.
type bareDecided struct {
	ID           string    `json:"id"`
	Object       string    `json:"object"`
	Kind         string    `json:"kind"`
	Status       string    `json:"status"`
	Done         bool      `json:"done"`
	WalletID     string    `json:"wallet_id"`
	MerchantID   string    `json:"merchant_id,omitempty"`
	Amount       int64     `json:"amount"`
	Currency     string    `json:"currency"`
	Invoice      string    `json:"invoice,omitempty"`
	Description  string    `json:"description,omitempty"`
	Sequence     int64     `json:"sequence"`
	BalanceAfter int64     `json:"balance_after"`
	Conflicts    int64     `json:"conflicting_requests"`
	ReceivedAt   time.Time `json:"received_at"`
	DecidedAt    time.Time `json:"decided_at"`
}

// startBare starts a part of bare handlers on a topic and returns where they are.
func (r *run) startBare(ctx context.Context, name string, partitions int, topic string, d *database) (*part, string, error) {
	p, err := r.start(ctx, name, partEnviron()...)
	if err != nil {
		return nil, "", err
	}
	if err := p.tell(bareOptions{Brokers: r.brokers, Topic: topic, Partitions: partitions, Database: d.url}); err != nil {
		return nil, "", err
	}
	var at address
	err = p.hear(ctx, &at)
	return p, at.Address, err
}
