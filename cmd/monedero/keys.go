package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// keyFlags say whose key it is to be.
type keyFlags struct {
	role, merchant, client, name, expires, reason string
	rate                                          int64
}

func newKeys(environ []string) *cobra.Command {
	var f keyFlags
	create := &cobra.Command{
		Use:   "create",
		Short: "Make an API key and print it, once",
		Long: withEnvironment[config.Keys](`Makes an API key and prints it, and nothing else, on standard output. It is
stored nowhere: whoever loses it needs another one.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return createKey(cmd, environ, f) },
	}
	flags := create.Flags()
	flags.StringVar(&f.role, "role", "", "what the key may do: operator, merchant or client")
	flags.StringVar(&f.merchant, "merchant", "", "of a merchant's key: the merchant (mer_...)")
	flags.StringVar(&f.client, "client", "", "of a client's key: the client (cli_...)")
	flags.StringVar(&f.name, "name", "monedero keys create", "what people call it")
	flags.StringVar(&f.expires, "expires", "", "when the key stops being valid, as in RFC 3339 (2030-01-02T15:04:05Z); empty: never")
	flags.StringVar(&f.reason, "reason", "", "why; it is recorded")
	flags.Int64Var(&f.rate, "rate", 0, "how many requests a second each ingest takes under the key, and as many at once; 0: any number")
	return group("keys", "Look after API keys", create, newKeysList(environ), newKeysShow(environ), newKeysRotate(environ), newKeysRevoke(environ))
}

func createKey(cmd *cobra.Command, environ []string, f keyFlags) error {
	k, err := f.key()
	if err == nil && f.reason != "" {
		f.reason, err = parseReason(f.reason)
	}
	if err != nil {
		return misuse(err)
	}
	return issuing(cmd, environ, func(ctx context.Context, store *postgres.Store, minter *ledger.Minter) (string, error) {
		_, text, err := access.IssueKey(ctx, store, minter, k, ledger.Person(whoRuns(), f.reason))
		if errors.Is(err, ledger.ErrNotFound) {
			return "", fmt.Errorf("there is no %s of this ID", f.role)
		}
		return text, err
	})
}

// issuing prints the text of the key that do makes.
func issuing(cmd *cobra.Command, environ []string, do func(context.Context, *postgres.Store, *ledger.Minter) (string, error)) error {
	c, err := load[config.Keys](environ)
	if err != nil {
		return err
	}
	minter, err := ledger.NewMinter([]byte(c.OperationIDSecret.Reveal()))
	if err != nil {
		return misuse(err)
	}
	store, err := connect(cmd.Context(), c.Store, "keys")
	if err != nil {
		return err
	}
	defer store.Close()
	// Under another secret it would be a key that no ingest takes for one.
	if err := store.Known().CheckSecret(minter); err != nil {
		return err
	}
	text, err := do(cmd.Context(), store, minter)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// key is the key that the flags ask for; its error names every fault.
func (f keyFlags) key() (ledger.Key, error) {
	var faults []error
	expires, err := time.Parse(time.RFC3339, f.expires)
	if f.expires != "" && (err != nil || expires.IsZero()) {
		faults = append(faults, errors.New("--expires must be a time as in RFC 3339, like 2030-01-02T15:04:05Z"))
	}
	draft := access.Draft{Role: f.role, Merchant: f.merchant, Client: f.client, Name: f.name, Rate: f.rate, ExpiresAt: expires.UTC()}
	k, wrong := draft.Key(time.Now().UTC().Truncate(time.Microsecond))
	for _, w := range wrong {
		flag := strings.TrimSuffix(strings.TrimSuffix(w.Field, "_id"), "_at")
		faults = append(faults, fmt.Errorf("--%s %s", flag, w.Message))
	}
	return k, errors.Join(faults...)
}
