package system

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/proxytest"
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
	return pgtest.Main{M: kafkatest.Runner{M: m}}.Run()
}

const testSecret = "a secret of the system tests, long enough"

// stack is a database and a broker of the test's own, ready for the services.
type stack struct {
	t        *testing.T
	database string // its URL, as the owner
	kafka    *kafkatest.Kafka
	env      []string
	ingests  []*process
}

const topicName = "charges.requested"

// newStack makes a migrated database, an empty Kafka and the topic.
func newStack(t *testing.T, partitions int) *stack {
	t.Helper()
	return newStackOn(t, pgtest.New(t), partitions)
}

func newStackOn(t *testing.T, database string, partitions int) *stack {
	t.Helper()
	return newStackWith(t, database, kafkatest.Open(t), partitions)
}

func newStackWith(t *testing.T, database string, broker *kafkatest.Kafka, partitions int) *stack {
	t.Helper()
	s := &stack{t: t, database: database, kafka: broker}
	s.env = append(os.Environ(),
		"DATABASE_URL="+database,
		"KAFKA_BROKERS="+strings.Join(s.kafka.Brokers, ","),
		"KAFKA_TOPIC="+topicName,
		"OPERATION_ID_SECRET="+testSecret,
		"LAME_DUCK=0",
	)
	s.monedero("topics", "create", "--partitions", strconv.Itoa(partitions))
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

// partitions is what monedero partitions prints, and whether it says by its exit code
// that nothing is wrong.
func (s *stack) partitions(args ...string) (list string, ok bool) {
	s.t.Helper()
	out, err := built.run(s.t, s.env, "monedero", append([]string{"partitions"}, args...)...)
	if err != nil && !strings.Contains(err.Error(), "something is wrong with the partitions") {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out), err == nil
}

// ingest starts an ingest, waits until it is ready and returns a client of it with
// an operator's key.
func (s *stack) ingest() (*process, *api) {
	s.t.Helper()
	p, a := s.startIngest()
	p.waitReady()
	return p, a
}

// startIngest is ingest without waiting.
func (s *stack) startIngest() (*process, *api) {
	s.t.Helper()
	address := freeAddress(s.t)
	return s.ingestAt(address), newAPI(s.t, "http://"+address, s.monedero("keys", "create", "--role", "operator"))
}

// ingestAt starts an ingest at an address, such as that of one that was killed.
func (s *stack) ingestAt(address string, env ...string) *process {
	s.t.Helper()
	p := built.start(s.t, slices.Concat(s.env, env, []string{"INGEST_ADDR=" + address}), "ingest")
	s.ingests = append(s.ingests, p)
	return p
}

// behind starts a proxy before the database, and returns it and what makes a
// service use it.
func (s *stack) behind() (*proxytest.Proxy, string) {
	s.t.Helper()
	p, through := proxytest.StartURL(s.t, s.database)
	return p, "DATABASE_URL=" + through
}

// shop is who is charged and who charges.
type shop struct {
	operator *api
	till     *api   // with a merchant's key
	owner    *api   // with the client's
	client   string // who owns the wallets
	merchant string
}

// open makes a client, a merchant and the merchant's key.
func (a *api) open() *shop {
	a.t.Helper()
	client := a.create("/v1/clients", map[string]any{"name": "Ada"})
	merchant := a.create("/v1/merchants", map[string]any{"name": "Bakery"})
	s := &shop{operator: a, client: client.ID, merchant: merchant.ID}
	s.till = a.as(s.newKey())
	s.owner = a.as(a.create("/v1/api-keys", map[string]any{"role": "client", "client_id": s.client, "name": "owner"}).Secret)
	return s
}

// newKey makes one more key of the merchant.
func (s *shop) newKey() string {
	s.operator.t.Helper()
	return s.operator.create("/v1/api-keys", map[string]any{"role": "merchant", "merchant_id": s.merchant, "name": "till"}).Secret
}

// wallet opens an empty wallet that anyone may charge.
func (s *shop) wallet() string {
	s.operator.t.Helper()
	return s.open(false)
}

// open opens an empty wallet, which is charged under mandates or by anyone.
func (s *shop) open(mandated bool) string {
	s.operator.t.Helper()
	charges := "anyone"
	if mandated {
		charges = "mandated"
	}
	return s.operator.create("/v1/wallets", map[string]any{"client_id": s.client, "currency": "EUR", "charges": charges}).ID
}

// mandated opens an empty wallet that its client gives the merchant a mandate of, for so much in all.
func (s *shop) mandated(total int64) string {
	t := s.operator.t
	t.Helper()
	w := s.open(true)
	grant := client.Request{Kind: ledger.KindGrant, Wallet: w, Merchant: s.merchant, Currency: "EUR", Limits: client.Limits{Total: total}}.Call("", "")
	status, o, err := s.owner.call(t.Context(), grant.Method, grant.Path, nil, grant.Body)
	if err != nil || status != http.StatusOK || o.Status != string(ledger.StatusAccepted) {
		t.Fatalf("a mandate of %s: %d %s %s, %v", w, status, o.Code, o.Status, err)
	}
	return w
}

func (s *stack) processor(env ...string) *process {
	s.t.Helper()
	p := built.start(s.t, slices.Concat(s.env, env), "processor")
	p.waitReady()
	return p
}
