// Package config reads the environment into a struct, once per program. It reports
// every fault of the environment at once, each with the name of its variable, and
// never shows a secret. What --help says about a variable is read from the same
// tags that load it.
package config

import "time"

// Database is what a program needs that uses Postgres.
type Database struct {
	DatabaseURL DatabaseURL `env:"DATABASE_URL,required,notEmpty" help:"Postgres, as postgres://user:password@host:port/database"`
}

// Kafka is what a program needs that uses the topic.
type Kafka struct {
	KafkaBrokers Brokers `env:"KAFKA_BROKERS,required,notEmpty" help:"Kafka brokers to start from, host:port, separated by commas"`
	KafkaTopic   Topic   `env:"KAFKA_TOPIC" envDefault:"charges.requested" help:"topic that charges go through"`
}

// Group is what a program needs that shares the partitions, or says who does.
type Group struct {
	KafkaGroup GroupName `env:"KAFKA_GROUP" envDefault:"monedero-processor" help:"consumer group that shares the partitions"`
}

// Identity is what a program needs that computes operation IDs, or makes or reads API keys.
type Identity struct {
	OperationIDSecret Secret `env:"OPERATION_ID_SECRET,required,notEmpty" help:"secret that operation IDs and the tags of API keys are computed under, at least 32 bytes; the same everywhere, for ever"`
}

// Logging is what every program needs.
type Logging struct {
	LogLevel  Level  `env:"LOG_LEVEL" envDefault:"info" help:"least severe level to log: debug, info, warn or error"`
	LogFormat Format `env:"LOG_FORMAT" envDefault:"json" help:"format of the log: json or text"`
}

// Log is the part itself, for code that does not care of which program it is.
func (l Logging) Log() Logging { return l }

// Drain is what a program needs that finishes its work before it stops.
type Drain struct {
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s" help:"how long work in hand may take after a request to stop"`
}

// Ingest is the environment of cmd/ingest.
type Ingest struct {
	Database
	Kafka
	Identity
	IngestAddr Addr  `env:"INGEST_ADDR" envDefault:":8080" help:"address to serve the API on"`
	AdminAddr  Addr  `env:"ADMIN_ADDR" envDefault:":9090" empty:"allowed" help:"address to serve /metrics, /livez and /readyz on; empty: nowhere"`
	LameDuck   Pause `env:"LAME_DUCK" envDefault:"5s" help:"how long to go on serving after a request to stop, no longer ready: until load balancers know; 0: not at all"`
	Drain
	Logging
}

// Processor is the environment of cmd/processor. Its ADMIN_ADDR differs from that
// of Ingest, so that one of each can run on one machine as they are.
type Processor struct {
	Database
	Kafka
	Group
	Identity
	BatchSize BatchSize `env:"BATCH_SIZE" envDefault:"1000" help:"records to settle in one transaction at most, 1 to 1000"`
	AdminAddr Addr      `env:"ADMIN_ADDR" envDefault:":9091" empty:"allowed" help:"address to serve /metrics, /livez and /readyz on; empty: nowhere"`
	Drain
	Logging
}

// Store is the environment of the commands that need only Postgres: migrate, verify.
type Store struct {
	Database
	Logging
}

// Keys is the environment of the commands that make API keys.
type Keys struct {
	Store
	Identity
}

// Admin is the environment of the commands that need all parts: topics,
// partitions.
type Admin struct {
	Database
	Kafka
	Group
	Identity
	Logging
}

// API is the environment of the commands that call the API.
type API struct {
	APIURL      APIURL      `env:"API_URL" envDefault:"http://127.0.0.1:8080" help:"where the API is: an ingest, or what stands in front of several"`
	OperatorKey OperatorKey `env:"OPERATOR_KEY,required,notEmpty" help:"API key of the role operator"`
}
