package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// keyFlags say whose key it is to be.
type keyFlags struct {
	role, merchant, client, name string
	rate                         int
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
	flags.IntVar(&f.rate, "rate", 0, "how many requests a second each ingest takes under the key, and as many at once; 0: any number")
	return group("keys", "Make API keys", create)
}

func createKey(cmd *cobra.Command, environ []string, f keyFlags) error {
	k, err := f.key()
	if err != nil {
		return misuse(err)
	}
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
	_, text, err := ingest.IssueKey(cmd.Context(), store, minter, k)
	if errors.Is(err, ingest.ErrNotFound) {
		return fmt.Errorf("there is no %s of this ID", f.role)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// key is the key that the flags ask for; its error names every fault.
func (f keyFlags) key() (ledger.Key, error) {
	k := ledger.Key{Party: ledger.Party{Role: ledger.Role(f.role)}, Rate: f.rate, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	var faults []error
	if !k.Role.Known() {
		faults = append(faults, errors.New("--role must be operator, merchant or client"))
	}
	for _, owner := range []struct {
		role        ledger.Role
		flag, given string
	}{{ledger.RoleMerchant, "--merchant", f.merchant}, {ledger.RoleClient, "--client", f.client}} {
		switch {
		case k.Role == owner.role && owner.given == "":
			faults = append(faults, fmt.Errorf("%s must be given: whose key it is", owner.flag))
		case k.Role != owner.role && owner.given != "":
			faults = append(faults, fmt.Errorf("%s belongs to a %s's key, and to nothing else", owner.flag, owner.role))
		case k.Role == owner.role:
			var err error
			if k.Party, err = ledger.ParseOwner(k.Role, owner.given); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", owner.flag, err))
			}
		}
	}
	var wrong []string
	k.Name, wrong = ingest.ReadName(f.name)
	for _, message := range wrong {
		faults = append(faults, errors.New("--name "+message))
	}
	if f.rate < 0 || f.rate > ingest.MaxKeyRate {
		faults = append(faults, fmt.Errorf("--rate must be from 0 to %d", ingest.MaxKeyRate))
	}
	return k, errors.Join(faults...)
}
