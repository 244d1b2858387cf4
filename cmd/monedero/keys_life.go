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

type keyText struct {
	ID         string      `json:"id"`
	Role       ledger.Role `json:"role"`
	Owner      string      `json:"owner_id,omitempty"`
	Name       string      `json:"name"`
	Rate       int         `json:"rate,omitempty"`
	CreatedAt  time.Time   `json:"created_at"`
	ExpiresAt  time.Time   `json:"expires_at,omitzero"`
	RevokedAt  time.Time   `json:"revoked_at,omitzero"`
	LastUsedAt time.Time   `json:"last_used_at,omitzero"`
}

func newKeyText(k ledger.Key) keyText {
	t := keyText{
		ID: k.ID.String(), Role: k.Role, Name: k.Name, Rate: k.Rate,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, LastUsedAt: k.UsedAt,
	}
	if k.Role != ledger.RoleOperator {
		t.Owner = k.Party.String()
	}
	return t
}

func newKeysList(environ []string) *cobra.Command {
	var f listFlags
	var merchant, client string
	c := &cobra.Command{
		Use: "list", Short: "List API keys", Long: withEnvironment[config.Store]("Lists API keys, never their secrets, the newest first."), Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			var owner ledger.Party
			var err error
			switch {
			case merchant != "" && client != "":
				err = errors.New("--merchant and --client do not go together")
			case merchant != "":
				owner, err = ledger.ParseParty(ledger.RoleMerchant, merchant)
			case client != "":
				owner, err = ledger.ParseParty(ledger.RoleClient, client)
			}
			if err != nil {
				return misuse(err)
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				all, err := upTo(ctx, f.limit, func(ctx context.Context, limit int, after *postgres.Cursor) ([]ledger.Key, *postgres.Cursor, error) {
					return s.Keys(ctx, owner, limit, after)
				})
				if err != nil {
					return err
				}
				return showAll(cmd, f.output, all, "ID\tROLE\tOWNER\tCREATED\tEXPIRES\tREVOKED\tLAST USED\tNAME", newKeyText, func(k keyText) string {
					return strings.Join([]string{
						k.ID, string(k.Role), orDash(k.Owner), when(k.CreatedAt), when(k.ExpiresAt), when(k.RevokedAt), when(k.LastUsedAt), k.Name,
					}, "\t")
				})
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&merchant, "merchant", "", "only keys of this merchant (mer_...)")
	c.Flags().StringVar(&client, "client", "", "only keys of this client (cli_...)")
	return c
}

// newKeyCommand does something with one key.
func newKeyCommand(use, short, long string, do func(cmd *cobra.Command, id ledger.KeyID) error) *cobra.Command {
	var text string
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := ledger.ParseKeyID(text)
			if err != nil {
				return misuse(errors.New("--key must be given, as key_ and its digits"))
			}
			return do(cmd, id)
		},
	}
	c.Flags().StringVar(&text, "key", "", "which key (key_...)")
	return c
}

func newKeysShow(environ []string) *cobra.Command {
	return newKeyCommand("show", "Show an API key", withEnvironment[config.Store]("Shows an API key as JSON, without its secret."),
		func(cmd *cobra.Command, id ledger.KeyID) error {
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				k, err := s.Key(ctx, id)
				if err != nil {
					return notThere(err, "API key", id.String())
				}
				return showOne(cmd, newKeyText(k))
			})
		})
}

func newKeysRevoke(environ []string) *cobra.Command {
	var reason string
	c := newKeyCommand("revoke", "Revoke an API key", withEnvironment[config.Store](`Ends an API key for good: within 5 seconds no ingest takes it any more. Whoever had
a stolen key may have rotated it: look at keys list for what was made meanwhile. Who did
so and why is recorded.`),
		func(cmd *cobra.Command, id ledger.KeyID) error {
			why, err := parseReason(reason)
			if err != nil {
				return misuse(err)
			}
			return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
				k, err := s.RevokeKey(ctx, id, time.Now().UTC(), ledger.Person(whoRuns(), why))
				if err != nil {
					return notThere(err, "API key", id.String())
				}
				return showOne(cmd, newKeyText(k))
			})
		})
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	return c
}

func newKeysRotate(environ []string) *cobra.Command {
	var reason string
	var overlap time.Duration
	c := newKeyCommand("rotate", "Replace an API key by a new one", withEnvironment[config.Keys](`Makes a successor of the same owner, name, rate and expiry, and prints it, and nothing
else, on standard output: it is stored nowhere. The old key expires after the overlap;
without one, within 5 seconds no ingest takes it any more.
Who did so and why is recorded.`),
		func(cmd *cobra.Command, id ledger.KeyID) error {
			why, err := parseReason(reason)
			if err != nil {
				return misuse(err)
			}
			if overlap < 0 || overlap > access.MaxOverlap {
				return misuse(fmt.Errorf("--overlap must be from 0s to %s", access.MaxOverlap))
			}
			return issuing(cmd, environ, func(ctx context.Context, s *postgres.Store, m *ledger.Minter) (string, error) {
				old, err := s.Key(ctx, id)
				if err != nil {
					return "", notThere(err, "API key", id.String())
				}
				next := ledger.Key{CreatedAt: time.Now().UTC()}
				_, text, err := access.RotateKey(ctx, s, m, old, next, overlap, ledger.Person(whoRuns(), why))
				return text, err
			})
		})
	c.Flags().DurationVar(&overlap, "overlap", access.DefaultOverlap, "for how long the old key stays valid, up to 30 days; 0: it ends at once")
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	return c
}
