package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/service"
)

const (
	worldClients   = 100
	worldMerchants = 50
	worldConns     = 16 // that open wallets at the same time
	// topUp is what each wallet has to begin with, in minor units: more than all
	// charges of a run.
	topUp = 1_000_000_000_000
	// maxCharge is the largest amount of a charge, in minor units.
	maxCharge = 5_000
	currency  = "EUR"
	// inFlight is how many records of a partition wait to be written at once.
	inFlight = 4_000
	// settleTimeout is for a topic to be settled to its end; a full form's largest
	// takes minutes.
	settleTimeout = 30 * time.Minute
)

// scale is how large a world is.
type scale struct {
	partitions, wallets, charges int
	// behind says that the topic is of requests of this kind, behind as many that are settled already: of what
	// they refer to, or else charges. Empty: it is of charges, behind nothing.
	behind ledger.Kind
	// mandated says that wallets are charged under mandates, and that each gave some merchants one, which make all charges.
	mandated bool
}

// world is a topic full of charges, and a database as it was before the first of
// them: the wallets are open and have money for all charges. As the topic is only
// read, copies of the database can be settled from it again and again.
type world struct {
	scale
	database  *database // a template: nobody is connected to it
	topic     string
	wallets   [][]ledger.WalletID // by partition, about as many in each
	merchants []ledger.MerchantID
	before    int64              // records before the first charge
	tally                        // of all charges
	stored    [][]ledger.Request // by partition, while they are written: what the topic's requests are behind
	marks     [][]mark           // by partition: some requests of the topic, in order, the last one among them
}

// world is the one of that scale, made when it is first asked for.
func (r *run) world(ctx context.Context, s scale) (*world, error) {
	if w := r.worlds[s]; w != nil {
		return w, nil
	}
	began := time.Now()
	w := &world{scale: s, topic: r.name()}
	var err error
	if w.database, err = r.copyOf(ctx, "template0"); err != nil {
		return nil, err
	}
	if err := r.found(ctx, w); err != nil {
		return nil, fmt.Errorf("make wallets: %w", err)
	}
	draws := w.draw
	if s.behind != "" {
		if draws, err = r.fillBehind(ctx, w); err != nil {
			return nil, fmt.Errorf("settle what comes before: %w", err)
		}
	}
	if err := r.fill(ctx, w, draws); err != nil {
		return nil, fmt.Errorf("fill topic: %w", err)
	}
	r.worlds[s] = w
	r.options.Log.Info("world made", "partitions", s.partitions, "wallets", s.wallets, "charges", s.charges,
		"took", time.Since(began).Round(time.Millisecond))
	return w, nil
}

// found makes the topic, the people and the wallets, and lets a processor settle
// the wallets' first money.
func (r *run) found(ctx context.Context, w *world) error {
	if _, err := postgres.Migrate(ctx, w.database.url); err != nil {
		return err
	}
	if _, err := service.CreateTopic(ctx, service.Topic{
		Name: w.topic, Group: r.name(), Partitions: w.partitions, Replication: 1, DatabaseURL: w.database.url, Brokers: r.brokers, Minter: r.minter,
	}); err != nil {
		return err
	}
	store, err := postgres.Connect(ctx, w.database.url, postgres.Options{Application: "bench", MaxConns: worldConns})
	if err != nil {
		return err
	}
	err = r.populate(ctx, w, store)
	store.Close()
	if err != nil {
		return err
	}
	producer, done, err := r.producer(w)
	if err != nil {
		return err
	}
	err = w.each(func(partition int) error {
		list := make([]ledger.Request, len(w.wallets[partition]))
		for i, wallet := range w.wallets[partition] {
			list[i] = r.minted(ledger.Request{
				Kind: ledger.KindTopUp, Wallet: wallet, Amount: topUp, Currency: currency, IdempotencyKey: "first money",
			})
		}
		for some := range slices.Chunk(list, inFlight) {
			if _, err := w.produce(ctx, producer, partition, some); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, done()); err != nil {
		return err
	}
	w.before = int64(w.scale.wallets)
	return r.settleAll(ctx, w, w.database, w.before)
}

// populate makes clients, merchants and wallets.
func (r *run) populate(ctx context.Context, w *world, store *postgres.Store) error {
	now := time.Now()
	clients := make([]ledger.ClientID, worldClients)
	for i := range clients {
		clients[i] = newID()
		if _, _, err := store.CreateClient(ctx, ledger.Client{ID: clients[i], Name: "Ana", CreatedAt: now}, ledger.Person("bench", "")); err != nil {
			return err
		}
	}
	for range worldMerchants {
		id := ledger.MerchantID(newID())
		if _, _, err := store.CreateMerchant(ctx, ledger.Merchant{ID: id, Name: "Bodega", CreatedAt: now}, ledger.Person("bench", "")); err != nil {
			return err
		}
		w.merchants = append(w.merchants, id)
	}
	w.wallets = make([][]ledger.WalletID, w.partitions)
	var charges ledger.Charges
	if w.mandated {
		charges = ledger.ChargesMandated
	}
	var group errgroup.Group
	group.SetLimit(worldConns)
	for i := range w.scale.wallets {
		partition := i % w.partitions
		id := ledger.WalletID(newID())
		for id.Partition(w.partitions) != partition {
			id = newID()
		}
		w.wallets[partition] = append(w.wallets[partition], id)
		group.Go(func() error {
			_, _, err := store.Apply(ctx, r.minted(ledger.Request{
				Kind: ledger.KindOpen, Wallet: id, Client: clients[i%worldClients], Currency: currency, Charges: charges, IdempotencyKey: "open",
			}))
			if err != nil || !w.mandated {
				return err
			}
			return r.grant(ctx, w, store, id)
		})
	}
	return group.Wait()
}

// fill writes the requests that it draws for each partition, an equal share into each.
func (r *run) fill(ctx context.Context, w *world, draws func(partition int) func() ledger.Request) error {
	producer, done, err := r.producer(w)
	if err != nil {
		return err
	}
	tallies := make([]tally, w.partitions)
	w.marks = make([][]mark, w.partitions)
	err = w.each(func(partition int) error {
		share := w.scale.charges / w.partitions
		if partition < w.scale.charges%w.partitions {
			share++
		}
		draw := draws(partition)
		for share > 0 {
			list := make([]ledger.Request, min(share, inFlight))
			for i := range list {
				list[i] = r.minted(draw())
				tallies[partition].add(list[i])
				if w.stored != nil {
					w.stored[partition] = append(w.stored[partition], list[i])
				}
			}
			last, err := w.produce(ctx, producer, partition, list)
			if err != nil {
				return err
			}
			w.marks[partition] = append(w.marks[partition], mark{list[len(list)-1].ID, last})
			share -= len(list)
		}
		return nil
	})
	for _, t := range tallies {
		w.tally.charges += t.charges
		w.amount += t.amount
	}
	return errors.Join(err, done())
}

// draw makes charges of a partition as merchants send them: each with an invoice
// and an idempotency key of its own, on any wallet of the partition.
func (w *world) draw(partition int) func() ledger.Request {
	random := mathrand.New(mathrand.NewPCG(uint64(partition), mathrand.Uint64()))
	merchants := w.merchants
	if w.mandated {
		merchants = merchants[:mandatedMerchants]
	}
	n := 0
	return func() ledger.Request {
		n++
		wallets := w.wallets[partition]
		var key [16]byte
		_, _ = rand.Read(key[:]) // never fails
		return ledger.Request{
			Kind: ledger.KindCharge, Wallet: wallets[random.IntN(len(wallets))], Merchant: merchants[random.IntN(len(merchants))],
			Amount: 1 + random.Int64N(maxCharge), Currency: currency, Invoice: fmt.Sprintf("INV-%03d-%07d", partition, n),
			IdempotencyKey: hex.EncodeToString(key[:]),
		}
	}
}

// minted gives the request its ID and the time of its receipt.
func (r *run) minted(q ledger.Request) ledger.Request {
	q.ReceivedAt, q.Asker.Party = time.Now().UTC(), ledger.AsOperator()
	if !q.Merchant.IsZero() && q.Kind != ledger.KindGrant {
		q.Asker.Party = ledger.AsMerchant(q.Merchant)
	}
	q.ID = r.minter.OperationID(q.Identity())
	return q
}

// producer writes to the world's topic as ingest does.
func (r *run) producer(w *world) (*kafka.Producer, func() error, error) {
	cluster, err := kafka.NewCluster(r.brokers, w.topic)
	if err != nil {
		return nil, nil, err
	}
	p := kafka.NewProducer(cluster, kafka.NewMetrics(nil), 0, kafka.Topic{Name: w.topic, Partitions: w.partitions})
	return p, func() error {
		defer cluster.Close()
		return p.Close()
	}, nil
}

// produce writes the requests in their order, and waits until all are durable. It returns the
// offset of the last one.
func (w *world) produce(ctx context.Context, p *kafka.Producer, partition int, list []ledger.Request) (last int64, err error) {
	pending := make([]kafka.Pending, 0, len(list))
	for _, q := range list {
		record, err := encoded(q)
		if err != nil {
			return 0, err
		}
		one, err := p.Enqueue(ctx, w.topic, partition, record)
		if err != nil {
			return 0, err
		}
		pending = append(pending, one)
	}
	for _, one := range pending {
		if last, err = one.Wait(); err != nil {
			return 0, err
		}
	}
	return last, nil
}

func encoded(q ledger.Request) (record.Record, error) {
	value, headers, err := record.Encode(q)
	return record.Record{Key: []byte(q.Wallet.String()), Value: value, Headers: headers}, err
}

// each does something for every partition at once.
func (w *world) each(do func(partition int) error) error {
	var group errgroup.Group
	for partition := range w.partitions {
		group.Go(func() error { return do(partition) })
	}
	return group.Wait()
}

// settleAll runs a processor until so many records are settled.
func (r *run) settleAll(ctx context.Context, w *world, d *database, records int64) error {
	group, err := r.newGroup(ctx, d)
	if err != nil {
		return err
	}
	p, err := r.start(ctx, partProcessor, r.serviceEnviron(w, d.url, group)...)
	if err != nil {
		return err
	}
	err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
		for {
			s, err := readStand(ctx, conn)
			if err != nil {
				return err
			}
			if s.offsets >= records {
				return nil
			}
			if err := errors.Join(p.check(), pause(ctx, pollLeast)); err != nil {
				return err
			}
		}
	})
	return errors.Join(err, p.stop())
}

func newID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}
