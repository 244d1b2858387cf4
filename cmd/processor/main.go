// Command processor settles charges: it decides them in order, and records their
// outcomes in Postgres. See processor --help for its environment.
package main

import (
	"os"

	"github.com/monedero/monedero/internal/service"
)

func main() {
	os.Exit(service.Main("processor", os.Args[1:], os.Environ(), os.Stdout, os.Stderr, service.RunProcessor))
}
