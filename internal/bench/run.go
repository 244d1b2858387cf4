package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// secret is what operation IDs are computed under in a run.
const secret = "a secret for measuring, it guards nothing"

// run is what the rows of one run share: Postgres, Kafka, and what was made and
// measured on them already.
type run struct {
	options    Options
	executable string
	closers    []func() error // in the order in which things were made

	server     string // Postgres, as a superuser
	prefix     string // of the names of databases, topics and groups
	made       int    // how many names
	postmaster int    // process of Postgres; 0: it is not on this machine
	brokers    []string
	kafka      []int // processes of Kafka
	minter     *ledger.Minter
	head       Head

	worlds    map[scale]*world
	histories map[historyOf]*database
	settled   map[settleSpec]*legs
	submitted map[int]*answered // by callers
	moved     *motions
	highest   int // rate that endToEnd found; 0: none yet
	through   *endToEnd
	lived     *lived
}

func makeRun(o Options) (*run, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &run{options: o, executable: o.Executable, settled: map[settleSpec]*legs{}, submitted: map[int]*answered{}, worlds: map[scale]*world{}, histories: map[historyOf]*database{}}
	if r.executable == "" {
		var err error
		if r.executable, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
	}
	return r, nil
}

func (r *run) onClose(f func() error) { r.closers = append(r.closers, f) }

// close ends and removes everything, in the reverse order.
func (r *run) close() error {
	var faults []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		faults = append(faults, r.closers[i]())
	}
	r.closers = nil
	return errors.Join(faults...)
}

// open starts Postgres and Kafka.
func (r *run) open(ctx context.Context) (err error) {
	if r.minter, err = ledger.NewMinter([]byte(secret)); err != nil {
		return err
	}
	r.prefix = "monedero_bench_" + strings.ToLower(rand.Text()[:10])
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{URL: r.options.DatabaseURL, Settings: serverSettings()})
	if err != nil {
		return err
	}
	r.onClose(server.Stop)
	r.server = server.URL()
	kafka, err := r.openKafka(ctx)
	if err != nil {
		return err
	}
	return r.withConn(ctx, r.server, func(conn *pgx.Conn) error {
		if r.head, err = readHead(ctx, conn, kafka, r.options.Quick); err != nil {
			return err
		}
		r.postmaster, err = findPostmaster(ctx, conn)
		return err
	})
}

// openKafka starts Apache Kafka where there is java, else the embedded broker, and
// says which.
func (r *run) openKafka(ctx context.Context) (string, error) {
	missing := devstack.ApacheReady(ctx)
	if missing == nil {
		apache, err := devstack.StartApache(ctx, devstack.ApacheOptions{})
		if err != nil {
			return "", err
		}
		r.onClose(apache.Stop)
		r.brokers, r.kafka = apache.Brokers(), apache.Processes()
		return "Apache Kafka " + devstack.ApacheVersion + ", one broker", nil
	}
	p, err := r.start(ctx, partKafka, partEnviron()...)
	if err != nil {
		return "", err
	}
	if err := p.hear(ctx, &r.brokers); err != nil {
		return "", err
	}
	r.kafka = []int{p.pid()}
	return fmt.Sprintf("kfake, the embedded broker (%v)", missing), nil
}

// findPostmaster is the parent of the process that serves us; 0 where that is not
// on this machine.
func findPostmaster(ctx context.Context, conn *pgx.Conn) (int, error) {
	var backend int
	if err := conn.QueryRow(ctx, "select pg_backend_pid()").Scan(&backend); err != nil {
		return 0, fmt.Errorf("find process of postgres: %w", err)
	}
	title, err := os.ReadFile(proc + "/" + strconv.Itoa(backend) + "/cmdline")
	if err != nil || !strings.Contains(string(title), "postgres") || !strings.Contains(string(title), conn.Config().Database) {
		return 0, nil
	}
	s, _ := readStat(backend)
	return s.parent, nil
}

// figuresOf measures a row by reading its figures off what several rows share.
func figuresOf[T any](measured func(*run, context.Context) (T, error), read func(T) Figures) func(context.Context, *run) (Figures, error) {
	return func(ctx context.Context, r *run) (Figures, error) {
		found, err := measured(r, ctx)
		if err != nil {
			return Figures{}, err
		}
		return read(found), nil
	}
}

// rounds is how often each row is measured.
func (r *run) rounds() int { return r.choose(r.options.Rounds, 3, 5) }

// longRounds is rounds for what takes long: processors that come and go, charges
// that arrive at a constant rate.
func (r *run) longRounds() int { return r.choose(r.options.Rounds, 2, 5) }

// charges is how many a round of a row settles.
func (r *run) charges() int { return r.choose(r.options.Charges, 60_000, 400_000) }

func (r *run) choose(given, quick, full int) int {
	switch {
	case given > 0:
		return given
	case r.options.Quick:
		return quick
	}
	return full
}

// name is one that nobody else has.
func (r *run) name() string {
	r.made++
	return r.prefix + "_" + strconv.Itoa(r.made)
}

// newGroup gives the database's partitions to a consumer group that nobody was in
// before, and returns the variable that tells processors so.
func (r *run) newGroup(ctx context.Context, d *database) (variable string, err error) {
	group := r.name()
	_, err = postgres.BindGroup(ctx, d.url, group, "monedero bench", "processors of another measurement")
	return "KAFKA_GROUP=" + group, err
}

// metered are the processes of Postgres and Kafka, and the parts.
func (r *run) metered(name string, parts ...*part) []metered {
	m := metered{name: name}
	for _, p := range parts {
		m.pids = append(m.pids, p.pid())
	}
	list := []metered{m}
	if r.postmaster != 0 {
		list = append(list, metered{"postgres", []int{r.postmaster}, true})
	}
	return append(list, metered{name: "kafka", pids: r.kafka})
}

// serviceEnviron is the environment of a service in a world, on a database; what
// it does not name has its default.
func (r *run) serviceEnviron(w *world, database string, more ...string) []string {
	return append(append(partEnviron(),
		"DATABASE_URL="+database, "KAFKA_BROKERS="+strings.Join(r.brokers, ","), "KAFKA_TOPIC="+w.topic,
		"OPERATION_ID_SECRET="+secret, "ADMIN_ADDR=", "LAME_DUCK=0", "LOG_LEVEL=warn"), more...)
}
