package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/config"
)

const (
	secret   = "correct-horse-battery-staple-0123456789"
	password = "hunter2hunter2"
	database = "postgres://app:" + password + "@db:5432/monedero?sslmode=disable"
)

func required(more ...string) []string {
	return append([]string{"DATABASE_URL=" + database, "KAFKA_BROKERS=k1:9092, k2:9092", "OPERATION_ID_SECRET=" + secret}, more...)
}

func load[T any](t *testing.T, environ []string) T {
	t.Helper()
	c, err := config.Load[T](environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// revealed compares secrets by what they hold.
var revealed = cmp.Options{
	cmp.Transformer("secret", config.Secret.Reveal),
	cmp.Transformer("url", config.DatabaseURL.Reveal),
}

// parsed are the values that only a text makes.
func parsed(t *testing.T) (d config.Database, i config.Identity) {
	t.Helper()
	if err := d.DatabaseURL.UnmarshalText([]byte(database)); err != nil {
		t.Fatal(err)
	}
	if err := i.OperationIDSecret.UnmarshalText([]byte(secret)); err != nil {
		t.Fatal(err)
	}
	return d, i
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	d, i := parsed(t)
	kafka := config.Kafka{KafkaBrokers: config.Brokers{"k1:9092", "k2:9092"}, KafkaTopic: "charges.requested"}
	logging := config.Logging{LogLevel: config.Level(slog.LevelInfo), LogFormat: "json"}
	drain := config.Drain{DrainTimeout: 10 * time.Second}
	group := config.Group{KafkaGroup: "monedero-processor"}

	wantIngest := config.Ingest{Database: d, Kafka: kafka, Identity: i, IngestAddr: ":8080", AdminAddr: ":9090", LameDuck: config.Pause(5 * time.Second), Drain: drain, Logging: logging}
	if diff := cmp.Diff(wantIngest, load[config.Ingest](t, required()), revealed); diff != "" {
		t.Error(diff)
	}
	wantProcessor := config.Processor{
		Database: d, Kafka: kafka, Group: group, Identity: i, BatchSize: 1000, AdminAddr: ":9091", Drain: drain, Logging: logging,
	}
	if diff := cmp.Diff(wantProcessor, load[config.Processor](t, required()), revealed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(config.Admin{Database: d, Kafka: kafka, Group: group, Identity: i, Logging: logging}, load[config.Admin](t, required()), revealed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(config.Store{Database: d, Logging: logging}, load[config.Store](t, []string{"DATABASE_URL=" + database}), revealed); diff != "" {
		t.Error(diff)
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	const key = "OPERATOR_KEY=mon_operator_" + password
	for text, want := range map[string]config.APIURL{
		"": "http://127.0.0.1:8080", "http://ingest:80/": "http://ingest:80", "https://pay.example.com": "https://pay.example.com",
	} {
		c := load[config.API](t, []string{key, "API_URL=" + text})
		if c.APIURL != want || c.OperatorKey.Reveal() != "mon_operator_"+password {
			t.Errorf("%q: %+v", text, c)
		}
		mustNotShow(t, fmt.Sprintf("%v %+v %#v %s", c, c, c, &c))
	}
	_, err := config.Load[config.API](nil)
	if err == nil || err.Error() != "OPERATOR_KEY: is required and not set" {
		t.Errorf("without a key: %v", err)
	}
	for _, url := range []string{"ingest:8080", "ftp://ingest", "http://", "http://u:" + password + "@ingest", "http://ingest/v1", "http://ingest?x=" + password} {
		_, err := config.Load[config.API]([]string{"API_URL=" + url, "OPERATOR_KEY=mon_merchant_" + password})
		if err == nil || !strings.Contains(err.Error(), "API_URL: is not a URL") || !strings.Contains(err.Error(), "OPERATOR_KEY: is not an API key of the role operator") {
			t.Errorf("%q: %v", url, err)
			continue
		}
		mustNotShow(t, err.Error())
	}
}

func TestEveryVariableIsRead(t *testing.T) {
	t.Parallel()
	d, i := parsed(t)
	want := config.Processor{
		Database: d,
		Kafka:    config.Kafka{KafkaBrokers: config.Brokers{"k1:9092", "k2:9092"}, KafkaTopic: "t"},
		Group:    config.Group{KafkaGroup: "g"}, Identity: i, BatchSize: 700, AdminAddr: "127.0.0.1:0",
		Drain:   config.Drain{DrainTimeout: time.Minute},
		Logging: config.Logging{LogLevel: config.Level(slog.LevelDebug), LogFormat: "text"},
	}
	got := load[config.Processor](t, required("KAFKA_TOPIC=t", "KAFKA_GROUP=g", "BATCH_SIZE=700", "ADMIN_ADDR=127.0.0.1:0",
		"DRAIN_TIMEOUT=1m", "LOG_LEVEL=DEBUG", "LOG_FORMAT=text", "HOME=/nowhere"))
	if diff := cmp.Diff(want, got, revealed); diff != "" {
		t.Error(diff)
	}
	if got := load[config.Ingest](t, required("INGEST_ADDR=[::1]:80")).IngestAddr; got != "[::1]:80" {
		t.Errorf("INGEST_ADDR is %q", got)
	}
}

func TestEmptyVariables(t *testing.T) {
	t.Parallel()
	c := load[config.Ingest](t, required("ADMIN_ADDR=", "INGEST_ADDR=", "LOG_LEVEL="))
	if c.AdminAddr != "" {
		t.Errorf("empty ADMIN_ADDR is %q", c.AdminAddr)
	}
	if c.IngestAddr != ":8080" || c.LogLevel.Level() != slog.LevelInfo {
		t.Errorf("empty variables are not their defaults: %q, %s", c.IngestAddr, c.LogLevel.Level())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ variable, want string }{
		{"DATABASE_URL=", "DATABASE_URL: is required and empty"},
		{"DATABASE_URL=mysql://app:" + password + "@db/x", "DATABASE_URL: is not a URL of the form"},
		{"DATABASE_URL=postgres://app:" + password + "@db:port/x", "DATABASE_URL: is not a URL of the form"},
		{"DATABASE_URL=postgres://app:%" + password + "@db/x", "DATABASE_URL: is not a URL of the form"},
		{"DATABASE_URL=postgres://app:" + password + "@ss@db/x", "DATABASE_URL: has an @, /, ? or # where none can be"},
		{"DATABASE_URL=postgres://app:12/" + password + "@db/x", "DATABASE_URL: has an @, /, ? or # where none can be"},
		{"DATABASE_URL=postgres://app:12?" + password + "@db/x", "DATABASE_URL: has an @, /, ? or # where none can be"},
		{"DATABASE_URL=postgres://app:12#" + password + "@db/x", "DATABASE_URL: has an @, /, ? or # where none can be"},
		{"DATABASE_URL=postgres://app:" + password + "/@db/x", "DATABASE_URL: has an @, /, ? or # where none can be"},
		{"DATABASE_URL=postgres://db/x/" + password, "DATABASE_URL: has an @, /, ? or # where none can be"},
		{"DATABASE_URL=postgres://app:" + password + "@db/x?sslmode=requird", "DATABASE_URL: has an sslmode that is none of disable, allow,"},
		{"DATABASE_URL=postgres://app:" + password + "@db/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "DATABASE_URL: has a parameter sslrootcert whose file cannot be read: open /nowhere/ca.pem:"},
		{"DATABASE_URL=postgres://app:" + password + "@db/x?connect_timeout=" + password, "DATABASE_URL: has a parameter connect_timeout with a value"},
		{"DATABASE_URL=postgres:" + password, "DATABASE_URL: is not a URL of the form"},
		{"DATABASE_URL=host=db password=" + password, "DATABASE_URL: is not a URL of the form"},
		{"KAFKA_BROKERS=", "KAFKA_BROKERS: is required and empty"},
		{"KAFKA_BROKERS=k1:9092,k2", `KAFKA_BROKERS: "k2" is not of the form host:port`},
		{"KAFKA_BROKERS=k1:9092,", `KAFKA_BROKERS: "" is not of the form host:port`},
		{"KAFKA_BROKERS=:9092", `KAFKA_BROKERS: ":9092" is not of the form host:port`},
		{"KAFKA_BROKERS=k1:0", `KAFKA_BROKERS: "k1:0" is not of the form host:port`},
		{"KAFKA_BROKERS=k1:65536", `KAFKA_BROKERS: "k1:65536" is not of the form host:port`},
		{"KAFKA_TOPIC=charges requested", `KAFKA_TOPIC: "charges requested" is not the name of a topic`},
		{"KAFKA_TOPIC=..", `KAFKA_TOPIC: ".." is not the name of a topic`},
		{"KAFKA_GROUP= g", `KAFKA_GROUP: " g" begins or ends with a space`},
		{"OPERATION_ID_SECRET=", "OPERATION_ID_SECRET: is required and empty"},
		{"OPERATION_ID_SECRET=" + secret[:31], "OPERATION_ID_SECRET: has 31 bytes, at least 32 are needed"},
		{"BATCH_SIZE=0", `BATCH_SIZE: "0" is not a number from 1 to 1000`},
		{"BATCH_SIZE=1001", `BATCH_SIZE: "1001" is not a number from 1 to 1000`},
		{"BATCH_SIZE=many", `BATCH_SIZE: "many" is not a number from 1 to 1000`},
		{"ADMIN_ADDR=9091", `ADMIN_ADDR: "9091" is not an address to listen on`},
		{"ADMIN_ADDR=:-1", `ADMIN_ADDR: ":-1" is not an address to listen on`},
		{"DRAIN_TIMEOUT=10", `DRAIN_TIMEOUT: "10" is not a duration above zero`},
		{"DRAIN_TIMEOUT=0s", `DRAIN_TIMEOUT: "0s" is not a duration above zero`},
		{"DRAIN_TIMEOUT=-1s", `DRAIN_TIMEOUT: "-1s" is not a duration above zero`},
		{"LOG_LEVEL=loud", `LOG_LEVEL: "loud" is none of debug, info, warn and error`},
		{"LOG_FORMAT=xml", `LOG_FORMAT: "xml" is neither json nor text`},
	} {
		t.Run(tt.variable, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load[config.Processor](required(tt.variable))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want only %q", err, tt.want)
			}
			if err != nil {
				mustNotShow(t, err.Error())
			}
			if diff := cmp.Diff(config.Processor{}, got, revealed); diff != "" {
				t.Errorf("not empty beside an error: %s", diff)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load[config.Ingest]([]string{
		"DATABASE_URL=" + password, "OPERATION_ID_SECRET=" + secret[:20], "INGEST_ADDR=x", "LAME_DUCK=x", "DRAIN_TIMEOUT=x", "LOG_LEVEL=x", "LOG_FORMAT=x",
	})
	if err == nil {
		t.Fatal("no error")
	}
	mustNotShow(t, err.Error())
	var got []string
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, ":")
		got = append(got, name)
	}
	want := []string{"DATABASE_URL", "KAFKA_BROKERS", "OPERATION_ID_SECRET", "INGEST_ADDR", "LAME_DUCK", "DRAIN_TIMEOUT", "LOG_LEVEL", "LOG_FORMAT"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, err)
	}
}

func mustNotShow(t *testing.T, text string) {
	t.Helper()
	for _, hidden := range []string{password, secret, secret[:20]} {
		if strings.Contains(text, hidden) {
			t.Errorf("shows %q: %s", hidden, text)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	c := load[config.Ingest](t, required())
	if c.OperationIDSecret.Reveal() != secret || c.DatabaseURL.Reveal() != database {
		t.Error("secrets are not what was given")
	}
	hidden := struct{ c config.Ingest }{c} // fmt calls no methods of what an unexported field holds
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(asJSON)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, hidden))
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("loaded", "config", c, "secret", c.OperationIDSecret, "url", c.DatabaseURL)
	}
	for _, text := range append(shown, log.String()) {
		mustNotShow(t, text)
	}
	if got, want := c.DatabaseURL.String(), "postgres://app:xxxxx@db:5432/monedero?REDACTED"; got != want {
		t.Errorf("URL shows as %q, want %q", got, want)
	}
	if none := (config.Ingest{}); none.OperationIDSecret.Reveal() != "" || none.DatabaseURL.Reveal() != "" || none.DatabaseURL.String() != "" {
		t.Error("the zero value holds something")
	}
}

// TestNoURLIsShown: whatever is wrong with the URL, the error does not quote it.
func TestNoURLIsShown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z:/@%?#\[\]]{0,12}`).Draw(t, "before") + password + rapid.StringMatching(`[a-z:/@%?#\[\]]{0,12}`).Draw(t, "after")
		if _, err := config.Load[config.Store]([]string{"DATABASE_URL=" + text}); err != nil && strings.Contains(err.Error(), password) {
			t.Fatalf("shows it: %v", err)
		}
	})
}

// TestDatabaseURLs: what a URL may hold, several hosts among it.
func TestDatabaseURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"postgres://db/x", "postgresql://app@db:5432/x?application_name=a", "postgres:///x?host=/run/postgresql", "postgres://app:p%40ss%2Fw%3F%23rd@db/x",
		"postgres://app:" + password + "@db1:5432,db2:5433/x?target_session_attrs=any&connect_timeout=5", "postgres://app:p:w$&'()*+,;=!~@[::1]:5432/x",
	} {
		c, err := config.Load[config.Store]([]string{"DATABASE_URL=" + text})
		if err != nil || c.DatabaseURL.Reveal() != text {
			t.Errorf("%s: %v", text, err)
		}
		if strings.Contains(c.DatabaseURL.String(), password) {
			t.Errorf("shows it: %v", c.DatabaseURL)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	want := `  DATABASE_URL          (required)           Postgres, as postgres://user:password@host:port/database
  KAFKA_BROKERS         (required)           Kafka brokers to start from, host:port, separated by commas
  KAFKA_TOPIC           charges.requested    topic that charges go through
  KAFKA_GROUP           monedero-processor   consumer group that shares the partitions
  OPERATION_ID_SECRET   (required)           secret that operation IDs and the tags of API keys are computed under, at least 32 bytes; the same everywhere, for ever
  BATCH_SIZE            1000                 records to settle in one transaction at most, 1 to 1000
  ADMIN_ADDR            :9091                address to serve /metrics, /livez and /readyz on; empty: nowhere
  DRAIN_TIMEOUT         10s                  how long work in hand may take after a request to stop
  LOG_LEVEL             info                 least severe level to log: debug, info, warn or error
  LOG_FORMAT            json                 format of the log: json or text
`
	if diff := cmp.Diff(want, config.Usage[config.Processor]()); diff != "" {
		t.Error(diff)
	}
	for _, usage := range []string{config.Usage[config.Ingest](), config.Usage[config.Admin](), config.Usage[config.Store]()} {
		for line := range strings.Lines(usage) {
			if len(strings.Fields(line)) < 5 {
				t.Errorf("says too little: %q", line)
			}
		}
	}
}
