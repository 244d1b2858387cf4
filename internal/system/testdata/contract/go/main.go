// Contract charges a wallet with the client that oapi-codegen makes of the document,
// waits for the outcome and prints it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"contract/api"
)

func main() {
	if err := run(os.Getenv("API_URL"), os.Getenv("API_KEY"), os.Getenv("WALLET")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url, key, wallet string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := api.NewClientWithResponses(url, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+key)
		return nil
	}))
	if err != nil {
		return err
	}
	idempotencyKey, invoice, wait := "made by oapi-codegen", "INV-GO", "wait=30"
	charged, err := client.ChargeWithResponse(ctx, wallet, &api.ChargeParams{IdempotencyKey: &idempotencyKey},
		api.Charge{Amount: 125, Currency: api.ChargeCurrencyEUR, Invoice: &invoice})
	if err != nil {
		return err
	}
	if charged.JSON202 == nil {
		return fmt.Errorf("charge: %s %s", charged.Status(), charged.Body)
	}
	read, err := client.GetOperationWithResponse(ctx, charged.JSON202.Id, &api.GetOperationParams{Prefer: &wait})
	if err != nil {
		return err
	}
	if read.JSON200 == nil || !read.JSON200.Done {
		return fmt.Errorf("read: %s %s", read.Status(), read.Body)
	}
	// What is refused is of a type of its own.
	refused, err := client.ChargeWithResponse(ctx, wallet, &api.ChargeParams{}, api.Charge{Amount: 125, Currency: api.ChargeCurrencyEUR})
	if err != nil {
		return err
	}
	if p := refused.ApplicationproblemJSON422; p == nil || p.Code != api.ProblemCodeInvalidRequest {
		return errors.New("a charge without key and invoice: " + refused.Status())
	}
	return json.NewEncoder(os.Stdout).Encode(read.JSON200)
}
