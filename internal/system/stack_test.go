package system

import (
	"os"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/postgres/pgtest"
)

// built is set once by TestMain.
var built binaries

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "monedero-system-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if built, err = build(folder); err != nil {
		panic(err)
	}
	return pgtest.Main{M: m}.Run()
}

const testSecret = "a secret of the system tests, long enough"

// stack is a database and a broker of the test's own, ready for the services.
type stack struct {
	t        *testing.T
	database string
	env      []string
}

// newStack makes a migrated database, an empty Kafka and the topic.
func newStack(t *testing.T, partitions string) *stack {
	t.Helper()
	kafka, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	s := &stack{t: t, database: pgtest.New(t)}
	s.env = append(os.Environ(),
		"DATABASE_URL="+s.database,
		"KAFKA_BROKERS="+strings.Join(kafka.Brokers(), ","),
		"OPERATION_ID_SECRET="+testSecret,
	)
	s.monedero("topics", "create", "--partitions", partitions)
	return s
}

// monedero runs the command and returns what it printed.
func (s *stack) monedero(args ...string) string {
	s.t.Helper()
	out, err := built.run(s.t, s.env, "monedero", args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// ingest starts an ingest and returns a client of it with an operator's key.
func (s *stack) ingest() (*process, *api) {
	s.t.Helper()
	address := freeAddress(s.t)
	p := built.start(s.t, append(s.env, "INGEST_ADDR="+address), "ingest")
	return p, newAPI(s.t, "http://"+address, s.monedero("keys", "create", "--role", "operator"))
}

func (s *stack) processor() *process {
	s.t.Helper()
	return built.start(s.t, s.env, "processor")
}
