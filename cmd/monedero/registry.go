package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// pageRows is how many rows a command reads at once.
const pageRows = 200

// looking runs do on the database.
func looking(cmd *cobra.Command, environ []string, do func(context.Context, *postgres.Store) error) error {
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	name := cmd.Name()
	if of := cmd.Parent(); of.HasParent() {
		name = of.Name()
	}
	store, err := connect(cmd.Context(), c, name)
	if err != nil {
		return err
	}
	defer store.Close()
	return do(cmd.Context(), store)
}

// upTo reads pages until there are as many as wanted, or no more.
func upTo[T any](ctx context.Context, want int, page func(context.Context, int, *postgres.Cursor) ([]T, *postgres.Cursor, error)) (all []T, err error) {
	var after *postgres.Cursor
	for {
		list, next, err := page(ctx, min(pageRows, want-len(all)), after)
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); next == nil || len(all) >= want {
			return all, nil
		}
		after = next
	}
}

// listFlags say how much a list shows, and in which form.
type listFlags struct {
	limit  int
	output string
}

func (f *listFlags) add(c *cobra.Command) {
	c.Flags().IntVar(&f.limit, "limit", 50, "how many to show at most, the newest first")
	addOutput(c, &f.output)
}

func (f *listFlags) check() error {
	if f.limit < 1 {
		return misuse(errors.New("--limit must be 1 at least"))
	}
	return checkOutput(f.output)
}

// showOne writes a thing as JSON.
func showOne(cmd *cobra.Command, x any) error {
	out := json.NewEncoder(cmd.OutOrStdout())
	out.SetIndent("", "  ")
	return out.Encode(x)
}

// notThere says what there is not.
func notThere(err error, what, id string) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("there is no %s %s", what, id)
	}
	return err
}

// when is a time in a table.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

type merchantText struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Client    string    `json:"client_id,omitempty"`
	Suspended bool      `json:"suspended"`
	CreatedAt time.Time `json:"created_at"`
}

func newMerchantText(m ledger.Merchant) merchantText {
	t := merchantText{ID: m.ID.String(), Name: m.Name, Suspended: m.Suspended, CreatedAt: m.CreatedAt}
	if !m.Owner.IsZero() {
		t.Client = m.Owner.String()
	}
	return t
}

func newMerchants(environ []string) *cobra.Command {
	var f listFlags
	list := &cobra.Command{
		Use: "list", Short: "List merchants", Long: withEnvironment[config.Store]("Lists merchants, the newest first."), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				all, err := upTo(ctx, f.limit, s.Merchants)
				if err != nil {
					return err
				}
				return showAll(cmd, f.output, all, "ID\tCREATED\tSUSPENDED\tCLIENT\tNAME", newMerchantText, func(m merchantText) string {
					return strings.Join([]string{m.ID, when(m.CreatedAt), strconv.FormatBool(m.Suspended), orDash(m.Client), m.Name}, "\t")
				})
			})
		},
	}
	f.add(list)
	return group("merchants", "Look after merchants", list,
		newMerchantCommand(environ, "show", "Show a merchant", "Shows a merchant as JSON.", nil),
		newMerchantCommand(environ, "suspend", "Suspend a merchant", `Lets every charge of the merchant fail from now on, also those that are queued.
Who did so and why is recorded.`, new(true)),
		newMerchantCommand(environ, "resume", "Resume a merchant", `Lets the merchant charge again. What failed meanwhile stays failed. Who did so and
why is recorded.`, new(false)))
}

// newMerchantCommand shows a merchant, once it has suspended or resumed it where it is to.
func newMerchantCommand(environ []string, use, short, long string, suspended *bool) *cobra.Command {
	var id, reason string
	c := &cobra.Command{
		Use: use, Short: short, Long: withEnvironment[config.Store](long), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			merchant, err := ledger.ParseMerchantID(id)
			if err != nil {
				return misuse(errors.New("--merchant must be given, as mer_ and its digits"))
			}
			if suspended != nil {
				if reason, err = parseReason(reason); err != nil {
					return misuse(err)
				}
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				var m ledger.Merchant
				var err error
				if suspended != nil {
					m, err = s.Suspend(ctx, merchant, *suspended, ledger.Person(whoRuns(), reason))
				} else {
					m, err = s.Merchant(ctx, merchant)
				}
				if err != nil {
					return notThere(err, "merchant", id)
				}
				return showOne(cmd, newMerchantText(m))
			})
		},
	}
	c.Flags().StringVar(&id, "merchant", "", "which merchant (mer_...)")
	if suspended != nil {
		c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	}
	return c
}

type clientText struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

func newClientText(c ledger.Client) clientText {
	return clientText{ID: c.ID.String(), Name: c.Name, CreatedAt: c.CreatedAt}
}

func newClients(environ []string) *cobra.Command {
	var f listFlags
	list := &cobra.Command{
		Use: "list", Short: "List clients", Long: withEnvironment[config.Store]("Lists clients, the newest first."), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				all, err := upTo(ctx, f.limit, s.Clients)
				if err != nil {
					return err
				}
				return showAll(cmd, f.output, all, "ID\tCREATED\tNAME", newClientText, func(c clientText) string {
					return strings.Join([]string{c.ID, when(c.CreatedAt), c.Name}, "\t")
				})
			})
		},
	}
	f.add(list)
	var id string
	show := &cobra.Command{
		Use: "show", Short: "Show a client", Long: withEnvironment[config.Store]("Shows a client as JSON."), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := ledger.ParseClientID(id)
			if err != nil {
				return misuse(errors.New("--client must be given, as cli_ and its digits"))
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				c, err := s.Client(ctx, client)
				if err != nil {
					return notThere(err, "client", id)
				}
				return showOne(cmd, newClientText(c))
			})
		},
	}
	show.Flags().StringVar(&id, "client", "", "which client (cli_...)")
	return group("clients", "Look at clients", list, show)
}

type walletText struct {
	ID       string              `json:"id"`
	Client   string              `json:"client_id"`
	Currency ledger.Currency     `json:"currency"`
	Status   ledger.WalletStatus `json:"status"`
	Balance  int64               `json:"balance"`
	Sequence int64               `json:"sequence"`
}

func newWalletText(w ledger.Wallet) walletText {
	return walletText{ID: w.ID.String(), Client: w.Client.String(), Currency: w.Currency, Status: w.Status, Balance: w.Balance, Sequence: w.Sequence}
}

func newWallets(environ []string) *cobra.Command {
	var f listFlags
	list := &cobra.Command{
		Use: "list", Short: "List wallets", Long: withEnvironment[config.Store]("Lists wallets, the newest first."), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				all, err := upTo(ctx, f.limit, s.Wallets)
				if err != nil {
					return err
				}
				return showAll(cmd, f.output, all, "ID\tCLIENT\tSTATUS\tBALANCE\tCURRENCY\tSEQUENCE", newWalletText, func(w walletText) string {
					return fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%d", w.ID, w.Client, w.Status, w.Balance, w.Currency, w.Sequence)
				})
			})
		},
	}
	f.add(list)
	var id string
	show := &cobra.Command{
		Use: "show", Short: "Show a wallet", Long: withEnvironment[config.Store]("Shows a wallet as JSON."), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wallet, err := ledger.ParseWalletID(id)
			if err != nil {
				return misuse(errors.New("--wallet must be given, as wal_ and its digits"))
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				w, err := s.Wallet(ctx, wallet)
				if err != nil {
					return notThere(err, "wallet", id)
				}
				return showOne(cmd, newWalletText(w))
			})
		},
	}
	show.Flags().StringVar(&id, "wallet", "", "which wallet (wal_...)")
	return group("wallets", "Look at wallets", list, show)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
