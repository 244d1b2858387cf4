package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	// aloneTimes is how often each step is taken, and aloneWarm how often before that.
	aloneTimes = 300
	aloneWarm  = 50
	// aloneWait and aloneBytes bound a fetch; what it asks for is there.
	aloneWait  = time.Second
	aloneBytes = 1 << 20
	// A charge on record takes about as many bytes as its record.
	createCommits = "create table bench_commits (id bigint generated always as identity primary key, value bytea not null)"
	commitOne     = "insert into bench_commits (value) values ($1)"
)

// alone is what each of the steps takes that no charge can do without, one record
// or row at a time, while nothing else happens: medians in milliseconds.
type alone struct{ produce, fetch, commit float64 }

// sum is the least that a charge takes from POST to outcome.
func (a alone) sum() float64 { return a.produce + a.fetch + a.commit }

// steps are ready to be measured.
type steps struct {
	cluster *kafka.Cluster
	client  *kafkago.Client
	topic   string
	value   []byte
	conn    *pgx.Conn
}

// steps makes a topic of one partition, and a table beside those of the database.
func (r *run) steps(ctx context.Context, w *world, d *database) (_ *steps, err error) {
	s := &steps{topic: r.name()}
	wallet := ledger.WalletID(newID())
	record, err := encoded(r.minted(ledger.Request{
		Kind: ledger.KindCharge, Wallet: wallet, Merchant: newID(), Amount: submitAmount, Currency: currency,
		Invoice: fmt.Sprintf("INV-%0*d", numberDigits, 1), IdempotencyKey: fmt.Sprintf("order-%0*d", numberDigits, 1),
	}))
	if err != nil {
		return nil, err
	}
	s.value = record.Value
	if s.cluster, err = kafka.NewCluster(r.brokers, w.topic); err != nil {
		return nil, err
	}
	if err := s.cluster.CreateTopic(ctx, s.topic, 1, 1); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	transport := &kafkago.Transport{MetadataTopics: []string{s.topic}}
	s.client = &kafkago.Client{Addr: kafkago.TCP(r.brokers...), Transport: transport}
	if s.conn, err = pgx.Connect(ctx, d.url); err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w", err), s.close(ctx))
	}
	if _, err := s.conn.Exec(ctx, createCommits); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *steps) close(ctx context.Context) error {
	s.cluster.Close()
	if s.client != nil {
		s.client.Transport.(*kafkago.Transport).CloseIdleConnections()
	}
	if s.conn == nil {
		return nil
	}
	return s.conn.Close(context.WithoutCancel(ctx))
}

// measure takes each step alone, one after the other.
func (s *steps) measure(ctx context.Context) (alone, error) {
	took := map[string]series{}
	for i := range aloneWarm + aloneTimes {
		var offset int64
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"produce", func() (err error) { offset, err = s.produce(ctx); return err }},
			{"fetch", func() error { return s.fetch(ctx, offset) }},
			{"commit", func() error { _, err := s.conn.Exec(ctx, commitOne, s.value); return err }},
		} {
			began := time.Now()
			if err := step.do(); err != nil {
				return alone{}, fmt.Errorf("%s alone: %w", step.name, err)
			}
			if i >= aloneWarm {
				took[step.name] = append(took[step.name], milliseconds(time.Since(began)))
			}
		}
	}
	return alone{took["produce"].median(), took["fetch"].median(), took["commit"].median()}, nil
}

// produce writes one record and waits until it is durable.
func (s *steps) produce(ctx context.Context) (int64, error) {
	answer, err := s.client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: s.topic, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(kafkago.Record{Value: kafkago.NewBytes(s.value)}),
	})
	if err != nil {
		return 0, err
	}
	return answer.BaseOffset, answer.Error
}

// fetch reads the record at the offset, which is there.
func (s *steps) fetch(ctx context.Context, offset int64) error {
	answer, err := s.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: s.topic, Offset: offset, MinBytes: 1, MaxBytes: aloneBytes, MaxWait: aloneWait,
	})
	if err != nil {
		return err
	}
	if answer.Error != nil {
		return answer.Error
	}
	record, err := answer.Records.ReadRecord()
	if err != nil {
		return err
	}
	value, err := protocol.ReadAll(record.Value)
	if err != nil {
		return err
	}
	if record.Offset != offset || !bytes.Equal(value, s.value) {
		return fmt.Errorf("another record came: %d, not %d", record.Offset, offset)
	}
	return nil
}

// typical is the median of each step.
func typical(list []alone) alone {
	pick := func(step func(alone) float64) float64 {
		var all series
		for _, a := range list {
			all = append(all, step(a))
		}
		return all.median()
	}
	return alone{
		pick(func(a alone) float64 { return a.produce }), pick(func(a alone) float64 { return a.fetch }),
		pick(func(a alone) float64 { return a.commit }),
	}
}
