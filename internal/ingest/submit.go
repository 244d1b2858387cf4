package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/throttle"
)

// queuePause is how long the next attempt comes after one for which there was no room in the queue.
const queuePause = 10 * time.Millisecond

type chargeBody struct {
	Amount      int64             `json:"amount" doc:"What to take, in minor units of the currency: an integer." example:"1250"`
	Currency    string            `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	Invoice     string            `json:"invoice,omitempty" doc:"Your invoice. It is charged to a wallet at most once. Without an Idempotency-Key it is the charge's identity." example:"INV-1001"`
	Description string            `json:"description,omitempty" doc:"For people." example:"Monthly plan"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings." example:"{\"order\":\"8821\"}"`
	ApplyBefore time.Time         `json:"apply_before,omitzero" doc:"If the charge is not decided before this time it fails with expired." example:"2030-01-02T15:04:05Z"`
}

type chargeInput struct {
	Wallet  string      `path:"wallet" doc:"The wallet to charge." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string      `header:"Idempotency-Key" doc:"Makes retries safe: the same key is the same charge. Required where there is no invoice." example:"order-8821"`
	Prefer  string      `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, for the outcome (RFC 7240)." example:"wait=2"`
	DryRun  dryRunParam `query:"dry_run" enum:"true,false" doc:"true: says what the charge would come to now, and queues nothing." example:"true"`
	RawBody []byte      `contentType:"application/json"`
}

func (s *Server) charge(ctx context.Context, in *chargeInput) (*triableOutput, error) {
	b, faults, err := decode[chargeBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	wallet, faults := pathWallet(in.Wallet, faults)
	return s.submitOrTry(ctx, b.request(ctx, wallet, in.Key), faults, in.Prefer, in.DryRun)
}

// request is what the body asks of the wallet, under the idempotency key; the merchant is the caller's.
func (b chargeBody) request(ctx context.Context, wallet ledger.WalletID, key string) ledger.Request {
	return ledger.Request{
		Kind: ledger.KindCharge, Wallet: wallet, Merchant: caller(ctx).Merchant(),
		Amount: b.Amount, Currency: ledger.Currency(b.Currency), Invoice: written(b.Invoice),
		Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata),
		IdempotencyKey: written(key), ApplyBefore: b.ApplyBefore,
	}
}

// submit is the way of everything that is queued. The request is durable when
// it answers 202; a 503 leaves open whether it is.
func (s *Server) submit(ctx context.Context, r ledger.Request, faults []Fault, wait time.Duration) (*operationOutput, error) {
	r, err := s.checked(ctx, r, faults, place)
	if err != nil {
		return nil, err
	}
	sub, err := s.begin(ctx, r, 0)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, sub, wait)
}

// checked is the request, complete, if it has no faults. That of a field is at its place.
func (s *Server) checked(ctx context.Context, r ledger.Request, faults []Fault, place func(field string) string) (ledger.Request, error) {
	r.Asker, r.ReceivedAt = caller(ctx).Asker(), s.clock().UTC().Truncate(time.Microsecond)
	if err := invalid(withRulesAt(faults, r, place)); err != nil {
		return ledger.Request{}, err
	}
	r.ID = s.minter.OperationID(r.Identity())
	return r, nil
}

// submission is a request on its way into the queue.
type submission struct {
	ledger.Request
	known   *outcomes.Question // whether it has an outcome already
	durable Durable
}

// begin hands the request over; requests of one wallet are decided in the order in which they begin.
// Each that began must be finished. For so long it waits where too much waits already.
func (s *Server) begin(ctx context.Context, r ledger.Request, patience time.Duration) (submission, error) {
	if err := s.admitWallet(ctx, r); err != nil {
		return submission{}, err
	}
	if err := s.health.usable(ctx); err != nil {
		s.metrics.submitted(r.Kind, err)
		return submission{}, err
	}
	sub := submission{Request: r, known: s.watch.Ask(r.ID)}
	began := time.Now()
	var err error
	for {
		if sub.durable, err = s.queue.Submit(ctx, r); !errors.Is(err, ErrQueueFull) || time.Since(began) >= patience {
			break
		}
		throttle.Pause(ctx, queuePause)
	}
	if err != nil {
		s.watch.Drop(sub.known)
		return submission{}, s.submitted(r.Kind, err)
	}
	return sub, nil
}

// admitWallet refuses whoever has asked for too many wallets that are not there to it, where this one is not known to be.
func (s *Server) admitWallet(ctx context.Context, r ledger.Request) error {
	if s.unknown.Admit(caller(ctx).Party, ledger.WalletMerchant{Wallet: r.Wallet, Merchant: r.Merchant}) {
		return nil
	}
	s.metrics.shed("unknown_wallet")
	return refuse(CodeRateLimited, "too many requests of the key's owner were for wallets that do not exist or that gave it no mandate (mandate_required), and this wallet is not known to; it was not taken")
}

// finish answers once the request is durable; where it waits for an outcome, with that.
func (s *Server) finish(ctx context.Context, sub submission, wait time.Duration) (*operationOutput, error) {
	r := sub.Request
	defer s.watch.Drop(sub.known)
	receipt, err := sub.durable()
	if err = s.submitted(r.Kind, err); err != nil {
		return nil, err
	}
	if d, found := s.watch.AwaitBriefly(sub.known); found && isReplay(d, receipt) {
		return s.settled(ctx, r, d, receipt, wait)
	}
	s.watch.Drop(sub.known) // who waits is not under way any more
	if wait > 0 {
		if d, found := s.await(ctx, r.ID, receipt.Offset, wait); found {
			return s.settled(ctx, r, d, receipt, wait)
		}
	}
	b := newPending(r.ID)
	b.Kind, b.Partition, b.Offset = string(r.Kind), &receipt.Partition, &receipt.Offset
	return &operationOutput{
		Status:   http.StatusAccepted,
		Location: "/v1/operations/" + b.ID + "?offset=" + strconv.FormatInt(receipt.Offset, 10), RetryAfter: retryAfter,
		Applied: applied(wait), Body: b,
	}, nil
}

// submitted notes what came of a submission, and returns its error as trouble of the queue.
func (s *Server) submitted(k ledger.Kind, err error) error {
	s.health.submitted(err)
	if err != nil {
		err = &queueError{err: fmt.Errorf("submit: %w", err)}
	}
	s.metrics.submitted(k, err)
	return err
}

// settled answers with the outcome that the request's ID has.
func (s *Server) settled(ctx context.Context, r ledger.Request, d outcomes.Decided, at Receipt, wait time.Duration) (*operationOutput, error) {
	if d.Fingerprint != r.Fingerprint() {
		s.metrics.conflicted(r.Kind)
		return nil, ledger.ErrReused
	}
	out := &operationOutput{Status: http.StatusOK, Applied: applied(wait), Body: newOperation(d, caller(ctx))}
	if isReplay(d, at) {
		out.Replayed = "true"
		s.metrics.replayed(r.Kind)
	}
	return out, nil
}

// isReplay reports whether the outcome is that of another record than the one
// just submitted: of an earlier request under the same ID.
// An offset alone would not tell: in a topic that was made anew it comes again.
func isReplay(d outcomes.Decided, at Receipt) bool {
	return d.Place != ledger.Place{Log: d.Log, Offset: at.Offset}
}

// withRules adds what the rules find to what the decoder found.
func withRules(faults []Fault, r ledger.Request) []Fault { return withRulesAt(faults, r, place) }

// withRulesAt is withRules where a field comes from another place than usual.
func withRulesAt(faults []Fault, r ledger.Request, place func(field string) string) []Fault {
	// An invoice at fault was given all the same: the charge lacks no identity.
	invoice := slices.ContainsFunc(faults, func(f Fault) bool { return f.Location == "body.invoice" })
	for _, f := range r.Faults() {
		if f.Field == "idempotency_key" && r.IdempotencyKey == "" && invoice {
			continue
		}
		faults = addFault(faults, place(f.Field), f.Message)
	}
	return faults
}

// addRule adds what the rules find wrong with one field, of a request that says no more than that.
func addRule(faults []Fault, r ledger.Request, field, location string) []Fault {
	for _, f := range r.Faults() {
		if f.Field == field {
			faults = addFault(faults, location, f.Message)
		}
	}
	return faults
}

// place is where on the wire a field of a request comes from, as a rule.
func place(field string) string {
	switch field {
	case "idempotency_key":
		return "header.Idempotency-Key"
	case "wallet_id":
		return "path.wallet"
	}
	return inBody(field)
}

func pathWallet(text string, faults []Fault) (ledger.WalletID, []Fault) {
	return readWallet(text, "path.wallet", faults)
}

// readWallet reads the ID at the place.
func readWallet(text, place string, faults []Fault) (ledger.WalletID, []Fault) {
	id, err := ledger.ParseWalletID(text)
	if err != nil {
		faults = addFault(faults, place, "is not a wallet ID")
	}
	return id, faults
}
