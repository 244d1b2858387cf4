package demo

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// trial is a request for a person to try by hand.
type trial struct {
	what string
	call client.Call
}

// trials are a charge, the poll of that very charge, and the account status of
// the client who pays. The charge's ID is computed from its key, so that it is
// known before the charge is sent.
func trials(w *world, minter *ledger.Minter, day int) ([]trial, error) {
	payer, shop := w.rich[0], w.merchants[0]
	walletID, err := ledger.ParseWalletID(payer.id)
	if err != nil {
		return nil, fmt.Errorf("read the wallet's ID: %w", err)
	}
	merchantID, err := ledger.ParseMerchantID(shop.id)
	if err != nil {
		return nil, fmt.Errorf("read the merchant's ID: %w", err)
	}
	key := fmt.Sprintf("by-hand-%d", day)
	id := minter.OperationID(ledger.Identity{
		Kind: ledger.KindCharge, Asker: ledger.AsMerchant(merchantID), Wallet: walletID, Source: ledger.SourceKey, Value: key,
	})
	body := client.Request{Kind: ledger.KindCharge, Wallet: payer.id, Amount: 250, Currency: payer.currency, Invoice: fmt.Sprintf("HAND-%04d", day)}
	return []trial{
		{"charge a wallet", body.Call(shop.key, key)},
		{"what came of it", client.Call{Method: "GET", Path: "/v1/operations/" + id.String(), Key: shop.key}},
		{"the account status of the client who paid", client.Call{Method: "GET", Path: "/v1/clients/" + payer.client + "/wallets", Key: w.clientKey}},
	}, nil
}

// curl is the request as a line for a shell.
func curl(c client.Call, base string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "curl -sS -X %s %s -H %s", c.Method, quote(base+c.Path), quote("Authorization: Bearer "+c.Key))
	if c.IdempotencyKey != "" {
		fmt.Fprintf(&b, " -H %s", quote("Idempotency-Key: "+c.IdempotencyKey))
	}
	if c.Body != nil {
		body, err := json.Marshal(c.Body)
		if err != nil {
			return "", fmt.Errorf("encode the body: %w", err)
		}
		fmt.Fprintf(&b, " -H %s -d %s", quote("Content-Type: application/json"), quote(string(body)))
	}
	return b.String(), nil
}

// quote is text as one word of a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
