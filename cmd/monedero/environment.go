package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
)

// connectTimeout is how long a command waits for Postgres. A service waits for
// it as long as it takes; a person does not.
const connectTimeout = 10 * time.Second

// connect opens the database as the services use it.
func connect(ctx context.Context, c config.Store, application string) (*postgres.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return postgres.Connect(ctx, c.DatabaseURL.Reveal(), postgres.Options{Application: application})
}

// load reads the environment that a command needs. Its faults are the caller's
// to mend: exit code 2.
func load[T any](environ []string) (T, error) {
	c, err := config.Load[T](environ)
	if err != nil {
		return c, misuse(fmt.Errorf("the environment is not complete:\n%w", err))
	}
	return c, nil
}

// withEnvironment is a command's help: what it does, and what it reads.
func withEnvironment[T any](long string) string {
	return long + "\n\nEnvironment:\n" + config.Usage[T]()
}

// lookup is the value of a variable; empty where it is not set.
func lookup(environ []string, name string) string {
	value := ""
	for _, v := range environ {
		if text, found := strings.CutPrefix(v, name+"="); found {
			value = text
		}
	}
	return value
}
