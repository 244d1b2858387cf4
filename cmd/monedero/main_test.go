package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
)

// server is one Postgres for all tests, started by TestMain; each test has
// databases of its own there.
var server *devstack.Postgres

// asCommand in the environment makes this binary the command itself.
const asCommand = "MONEDERO_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	var err error
	if server, err = devstack.StartPostgres(context.Background(), devstack.PostgresOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const testSecret = "a secret of the tests, 32 bytes or more"

// result is what a command came to.
type result struct {
	code        int
	out, errors string
}

// monedero runs a command line in this process.
func monedero(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, environ, &out, &errs)
	return result{code, out.String(), errs.String()}
}

// must runs a command line that succeeds, and returns what it printed.
func must(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	r := monedero(t, environ, args...)
	if r.code != 0 || r.errors != "" {
		t.Fatalf("%v: exit code %d\n%s", args, r.code, r.errors)
	}
	return r.out
}

// database is an empty one.
func database(t *testing.T) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	execute(t, server.URL(), "create database "+name)
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func execute(t *testing.T, database, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// environment is an empty database, an empty Kafka and a secret.
func environment(t *testing.T) []string {
	t.Helper()
	kafka, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Stop(); err != nil {
			t.Error(err)
		}
	})
	return []string{
		"DATABASE_URL=" + database(t), "KAFKA_BROKERS=" + strings.Join(kafka.Brokers(), ","), "OPERATION_ID_SECRET=" + testSecret,
	}
}

// ready is an environment with schema and topic.
func ready(t *testing.T) []string {
	t.Helper()
	environ := environment(t)
	must(t, environ, "migrate", "up")
	must(t, environ, "topics", "create")
	return environ
}

func with(environ []string, more ...string) []string {
	return append(environ[:len(environ):len(environ)], more...)
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=" + database(t)}
	if out := must(t, environ, "migrate", "status"); !strings.Contains(out, "not applied") {
		t.Errorf("the status of an empty database is\n%s", out)
	}
	if out := must(t, environ, "migrate", "up"); !strings.Contains(out, "applied 00001") {
		t.Errorf("up says\n%s", out)
	}
	if out := must(t, environ, "migrate", "up"); !strings.Contains(out, "nothing to do") {
		t.Errorf("up, once more, says\n%s", out)
	}
	if out := must(t, environ, "migrate", "status"); strings.Contains(out, "not applied") || !strings.Contains(out, "00001") {
		t.Errorf("the status of a migrated database is\n%s", out)
	}
}

func TestTopicsCreate(t *testing.T) {
	t.Parallel()
	environ := environment(t)
	if r := monedero(t, environ, "topics", "create"); r.code != exitFailed {
		t.Errorf("on a database without a schema: exit code %d", r.code)
	}
	must(t, environ, "migrate", "up")
	for range 2 { // the same again changes nothing
		if out := must(t, environ, "topics", "create"); !strings.Contains(out, "charges.requested has 16 partitions") {
			t.Errorf("it says %q", out)
		}
	}
	for what, r := range map[string]result{
		"another number of partitions": monedero(t, environ, "topics", "create", "--partitions", "32"),
		"another topic":                monedero(t, with(environ, "KAFKA_TOPIC=another"), "topics", "create"),
		"another secret":               monedero(t, with(environ, "OPERATION_ID_SECRET=not the one of before, but as long"), "topics", "create"),
		"another cluster":              monedero(t, with(environment(t), environ[0]), "topics", "create"),
	} {
		if r.code != exitFailed || r.out != "" {
			t.Errorf("%s: exit code %d, said %q, %q", what, r.code, r.out, r.errors)
		}
	}
}

// TestTopicsCreateAsksTheDatabaseFirst: what it says of partitions holds, nothing that is
// healthy is to be made anew, and where it refuses there is nothing new in Kafka.
func TestTopicsCreateAsksTheDatabaseFirst(t *testing.T) {
	t.Parallel()
	environ := environment(t)
	partitions := func(environ []string) int {
		t.Helper()
		cluster, err := kafka.NewCluster(strings.Split(strings.TrimPrefix(environ[1], "KAFKA_BROKERS="), ","))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		found, err := cluster.Describe(t.Context(), "charges.requested")
		if err != nil {
			t.Fatal(err)
		}
		return found.Partitions
	}
	refused := func(environ []string, want string, line ...string) {
		t.Helper()
		r := monedero(t, environ, append([]string{"topics", "create"}, line...)...)
		if r.code != exitFailed || !strings.Contains(r.errors, want) || strings.Contains(r.errors, "made anew") {
			t.Errorf("topics create %v: %+v; want %q", line, r, want)
		}
	}
	refused(environ, "not migrated")
	if n := partitions(environ); n != 0 {
		t.Errorf("without a schema a topic of %d partitions was made", n)
	}
	must(t, environ, "migrate", "up")
	must(t, environ, "topics", "create", "--partitions", "8")
	refused(environ, "belongs to a topic of 8 partitions, not of 4", "--partitions", "4")
	if out := must(t, environ, "topics", "create"); !strings.Contains(out, "has 8 partitions") {
		t.Errorf("without a number it says %q", out)
	}
	other := environment(t)
	refused(with(other[1:2], environ[0], other[2]), "belongs to the cluster")
	if n := partitions(other); n != 0 {
		t.Errorf("on other brokers a topic of %d partitions was made", n)
	}
	fresh := []string{other[0], environ[1], environ[2]}
	must(t, fresh, "migrate", "up")
	refused(fresh, "with 8 partitions already")
	refused(fresh, "bind it with --partitions 8", "--partitions", "4")
	must(t, fresh, "topics", "create", "--partitions", "8")
}

func TestKeysCreate(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	database := strings.TrimPrefix(environ[0], "DATABASE_URL=")
	key := must(t, environ, "keys", "create", "--role", "operator")
	if !regexp.MustCompile(`^mon_operator_key_\w{26}_\w+\n$`).MatchString(key) {
		t.Errorf("it printed %q", key)
	}
	if again := must(t, environ, "keys", "create", "--role", "operator", "--name", "of the night shift"); again == key {
		t.Error("the same key twice")
	}
	other := append(slices.Clone(environ), "OPERATION_ID_SECRET=another secret, also long enough for it")
	if r := monedero(t, other, "keys", "create", "--role", "operator"); r.code != exitFailed || r.out != "" || !strings.Contains(r.errors, "secret") {
		t.Errorf("under another secret than the database's: %+v", r)
	}
	nobody := "mer_01h455vb4pex5vsknk084sn02q"
	if r := monedero(t, environ, "keys", "create", "--role", "merchant", "--merchant", nobody); r.code != exitFailed || !strings.Contains(r.errors, "no merchant") {
		t.Errorf("for a merchant that is none: %+v", r)
	}
	id := uuid.New()
	execute(t, database, fmt.Sprintf("insert into clients (id, name, created_at) values ('%s', 'Ada', now())", id))
	if out := must(t, environ, "keys", "create", "--role", "client", "--client", ledger.ClientID(id).String()); !strings.HasPrefix(out, "mon_client_") {
		t.Errorf("it printed %q", out)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	if out := must(t, environ, "verify"); !strings.Contains(out, "16 partitions") {
		t.Errorf("it says %q", out)
	}
	// Money from nowhere.
	execute(t, strings.TrimPrefix(environ[0], "DATABASE_URL="),
		"insert into account_balances (account_id, currency, partition, balance) values ('018f3c1e-7a1b-7c3d-8e4f-5a6b7c8d9e0f', 'EUR', 3, 5)")
	r := monedero(t, environ, "verify")
	if r.code != exitFailed || !strings.Contains(r.out, "partition 3") || !strings.Contains(r.out, "violations") {
		t.Errorf("with a balance that nothing made: %+v", r)
	}
	if out := must(t, environ, "verify", "--partition", "2", "--since", "1h"); !strings.Contains(out, "in 1 partitions") {
		t.Errorf("verifying another partition says %q", out)
	}
	if r := monedero(t, environ, "verify", "--wallet", ledger.WalletID{1}.String()); r.code != exitFailed || !strings.Contains(r.errors, "there is no wallet") {
		t.Errorf("verifying a wallet that is not there: %+v", r)
	}
	if out := must(t, environ, "rebuild", "--partition", "2"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "partition 2: 0 wallets") {
		t.Errorf("rebuilding another partition says %q", out)
	}
	if out := must(t, environ, "rebuild"); !strings.Contains(out, "partition 3: 0 wallets, 0 of them changed; 0 open holds, 0 of them changed; 0 mandates, 0 of them changed; 0 balances, 1 of them changed") {
		t.Errorf("rebuilding says %q", out)
	}
	must(t, environ, "verify")
}

// TestVerifyThatIsCutShort: what was found until then is shown.
func TestVerifyThatIsCutShort(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	execute(t, strings.TrimPrefix(environ[0], "DATABASE_URL="),
		"delete from partition_progress where partition = 3; alter table conflicts rename to lost")
	r := monedero(t, environ, "verify", "--partition", "3")
	if r.code != exitFailed || !strings.Contains(r.out, "partition 3: progress has no row") || !strings.Contains(r.errors, "42P01") {
		t.Errorf("%+v", r)
	}
}

// TestMisuse: what is wrong with the command line or the environment is said on
// one or a few lines, with exit code 2, and nothing on standard output.
func TestMisuse(t *testing.T) {
	t.Parallel()
	complete := []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/none", "KAFKA_BROKERS=127.0.0.1:1", "OPERATION_ID_SECRET=" + testSecret}
	for _, c := range []struct {
		line    string
		environ []string
		want    string
	}{
		{"dance", nil, `knows no "dance"`},
		{"migrate", nil, "needs one of its commands"},
		{"migrate up now", complete, `knows no "now"`},
		{"migrate up --fast", complete, "unknown flag: --fast"},
		{"migrate up", nil, "DATABASE_URL: is required"},
		{"migrate status", []string{"DATABASE_URL=mysql://root:hunter2@localhost"}, "DATABASE_URL: is not"},
		{"topics create", nil, "OPERATION_ID_SECRET: is required"},
		{"topics create", with(complete, "OPERATION_ID_SECRET=short"), "OPERATION_ID_SECRET: has 5 bytes"},
		{"topics create --partitions 12", complete, "--partitions must be a power of two"},
		{"topics create --partitions x", complete, "invalid argument"},
		{"topics create --replication -1", complete, "--replication must not be negative"},
		{"keys create", complete, "--role must be"},
		{"keys create --role king", complete, "--role must be"},
		{"keys create --role operator --merchant mer_x", complete, "--merchant belongs to a merchant's key, and to nothing else"},
		{"keys create --role client --client cli_x", complete, "--client is not a client ID"},
		{"keys create --role operator --name=", complete, "--name must not be empty"},
		{"keys create --role operator --rate -1", complete, "--rate must be from 0 to"},
		{"keys create --role operator", nil, "DATABASE_URL: is required"},
		{"keys create --role operator", nil, "OPERATION_ID_SECRET: is required"},
		{"verify", nil, "DATABASE_URL: is required"},
		{"verify --partition -2", complete, "--partition must not be negative"},
		{"verify --wallet wal_x", complete, "--wallet: not a canonical ID"},
		{"verify --wallet wal_x --partition 1", complete, "do not go together"},
		{"verify --since yesterday", complete, "--since must be"},
		{"verify --since -1h", complete, "--since must not lie in the future"},
		{"verify --since 2999-01-01T00:00:00Z", complete, "--since must not lie in the future"},
		{"partitions -o xml", complete, `table or json, not "xml"`},
		{"partitions --watch --every 1ms", complete, "--every must be 100ms"},
		{"partitions set-progress --offset 1 --reason x", complete, "--partition must be given"},
		{"partitions set-progress --partition 1 --all-halted --offset 1 --reason x", complete, "--partition must be given"},
		{"partitions set-progress --partition 1 --offset -1 --reason x", complete, "--offset must be given"},
		{"partitions set-progress --partition 1 --offset ++1 --reason x", complete, "--offset must be given"},
		{"keys create --role merchant", complete, "--merchant is required for a merchant's key"},
		{"keys create --role client", complete, "--client is required for a client's key"},
		{"keys create --role operator --client cli_x", complete, "--client belongs to a client's key, and to nothing else"},
		{"keys dance --help", nil, `keys knows no "dance": see monedero keys --help`},
		{"keys dance", nil, `keys knows no "dance"`},
		{"topics bind --reason x", complete, "--cluster must be given"},
		{"topics bind --cluster x", complete, "--reason must be given"},
		{"dead-letters discard --at 1/1/2 --partition 1 --reason x", complete, "--at must be given, or"},
		{"dead-letters resubmit --because x --key k", complete, "--key names one operation"},
		{"dead-letters discard --from yesterday --reason x", complete, "--from must be a time"},
		{"dead-letters", nil, "needs one of its commands"},
		{"dead-letters list", nil, "DATABASE_URL: is required"},
		{"dead-letters list --partition -2", complete, "--partition must not be negative"},
		{"dead-letters list --limit 0", complete, "--limit must be from"},
		{"dead-letters list --after 1", complete, "--after must be"},
		{"dead-letters show", complete, "--at must be"},
		{"dead-letters show --at 1/2/x", complete, "--at must be"},
		{"dead-letters discard --at 1/1/2", complete, "--reason must be given"},
		{"dead-letters discard --at 1/1/2 --reason a\x01b", complete, "--reason must be given"},
		{"dead-letters discard --at 1/1/2 --reason a\xffb", complete, "--reason must be given"},
		{"dead-letters discard --reason " + strings.Repeat("x", maxReason+1), complete, "--at must be"},
		{"dead-letters discard --reason " + strings.Repeat("x", maxReason+1), complete, "--reason must be given"},
		{"partitions set-progress --partition 1 --offset 2 --reason a\xffb", complete, "--reason must be given"},
		{"dead-letters resubmit --at 1/1", complete, "--at must be"},
		{"dead-letters resubmit --at 1/1/2", nil, "OPERATION_ID_SECRET: is required"},
		{"rebuild", nil, "DATABASE_URL: is required"},
		{"rebuild --partition -2", complete, "--partition must not be negative"},
		{"verify all", complete, `knows no "all"`},
		{"demo --charges 1 --wallets 1 --callers 0", nil, "charges must be from"},
		{"demo --charges many", nil, "invalid argument"},
		{"demo", []string{"DATABASE_URL=nowhere"}, "DATABASE_URL: is not"},
		{"load", nil, "OPERATOR_KEY: is required"},
		{"load --rate 0 --poor 2", []string{"API_URL=hunter2"}, "rate must be from 1 to 100000\npoor must be from 0 to 1\nthe environment is not complete:\nAPI_URL: is not"},
		{"load -o xml", nil, "output must be table or json"},
		{"load --for 10", nil, "invalid argument"},
		{"devstack now", nil, `knows no "now"`},
		{"bench --only drian", nil, `no row "drian"; there are: drain, `},
		{"bench -o xml", nil, `table or json, not "xml"`},
		{"bench now", nil, `knows no "now"`},
		{"bench curves", nil, "must be a folder"},
		{"bench curves --to x --only drain", nil, `no curve "drain"; there are: stored, `},
		{"bench curves --to x --stored -1", nil, "cannot be negative"},
		{"bench curves --draw x --rounds 1", nil, "takes no other flag"},
		{"bench curves --to x", []string{"DATABASE_URL=nowhere"}, "DATABASE_URL: is not"},
		{"bench", []string{"DATABASE_URL=nowhere"}, "DATABASE_URL: is not"},
		{"devstack --kafka=other", nil, `must be embedded or apache, not "other"`},
	} {
		r := monedero(t, c.environ, strings.Fields(c.line)...)
		if r.code != exitMisuse || r.out != "" || !strings.Contains(r.errors, c.want) {
			t.Errorf("monedero %s: exit code %d, %q, %q; want %q", c.line, r.code, r.out, r.errors, c.want)
		}
		if strings.Contains(r.errors, "goroutine") || strings.Contains(r.errors, "hunter2") {
			t.Errorf("monedero %s: shows what it should not: %s", c.line, r.errors)
		}
	}
}

// TestHelp: every command says what it does and which variables it reads.
func TestHelp(t *testing.T) {
	t.Parallel()
	for line, variables := range map[string][]string{
		"migrate up":     {"DATABASE_URL"},
		"migrate status": {"DATABASE_URL"},
		"topics create":  {"DATABASE_URL", "KAFKA_BROKERS", "KAFKA_TOPIC", "OPERATION_ID_SECRET", "--partitions", "--replication"},
		"keys create":    {"DATABASE_URL", "OPERATION_ID_SECRET", "--role", "--merchant", "--client", "--name", "--rate"},
		"verify":         {"DATABASE_URL", "--partition", "--wallet", "--since"},
		"rebuild":        {"DATABASE_URL", "--partition"},

		"dead-letters list":     {"DATABASE_URL", "--partition", "--all", "--limit", "--after", "--json"},
		"dead-letters show":     {"DATABASE_URL", "--at"},
		"dead-letters discard":  {"DATABASE_URL", "--at", "--reason"},
		"dead-letters resubmit": {"DATABASE_URL", "OPERATION_ID_SECRET", "--at", "--key"},
		"demo":                  {"DATABASE_URL", "--charges", "--wallets", "--callers", "--seed", "--data", "--exit"},
		"devstack":              {"--data", "--kafka"},
		"bench":                 {"DATABASE_URL", "--only", "--quick", "--output", "--rounds", "--charges", "--stored", "hot_wallet"},
		"bench curves":          {"DATABASE_URL", "--to", "--draw", "--only", "--rounds", "--charges", "--stored", "processors"},
		"load": {
			"API_URL", "OPERATOR_KEY", "--rate", "--for", "--wallets", "--skew", "--duplicates", "--refunds", "--withdrawals", "--poor", "--follow", "--in-flight", "--seed", "--output",
		},
	} {
		out := must(t, nil, append(strings.Fields(line), "--help")...)
		for _, v := range variables {
			if !strings.Contains(out, v) {
				t.Errorf("monedero %s --help does not name %s:\n%s", line, v, out)
			}
		}
	}
	if out := must(t, nil); !strings.Contains(out, "Available Commands") {
		t.Errorf("monedero alone says\n%s", out)
	}
}

// TestUnreachableDatabase: trouble that is not the caller's fault is exit code 1.
func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	r := monedero(t, []string{"DATABASE_URL=postgres://nobody:hunter2@127.0.0.1:1/none"}, "migrate", "up")
	if r.code != exitFailed || r.errors == "" || strings.Contains(r.errors, "hunter2") {
		t.Errorf("%+v", r)
	}
}

// TestUnreachableAPI: so is an ingest that does not answer.
func TestUnreachableAPI(t *testing.T) {
	t.Parallel()
	r := monedero(t, []string{"API_URL=http://127.0.0.1:1", "OPERATOR_KEY=mon_operator_hunter2"}, "load", "-o", "json")
	if r.code != exitFailed || r.out != "" || !strings.Contains(r.errors, "set up") || strings.Contains(r.errors, "hunter2") {
		t.Errorf("%+v", r)
	}
}
