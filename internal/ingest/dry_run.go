package ingest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

// dryRunParam is the parameter of what may be tried without being queued.
type dryRunParam string

func (p dryRunParam) set() bool { return p == "true" }

// dryRunBody is what a request would come to. It has no numbers of the wallet: whoever may ask for what can be tried is a merchant.
type dryRunBody struct {
	Object     string         `json:"object" doc:"What this is." enum:"dry_run" example:"dry_run"`
	Kind       string         `json:"kind" doc:"What was asked of the wallet." example:"charge"`
	Would      string         `json:"would" doc:"What would become of it, or became." enum:"accept,fail" example:"accept"`
	Decided    bool           `json:"decided" doc:"Whether the same request has its outcome already. Then this is about that." example:"false"`
	AsOf       string         `json:"as_of" format:"date-time" doc:"The moment that this is about. What was queued then, and not decided, is not in it." example:"2026-01-02T15:04:05.012345Z"`
	Amount     int64          `json:"amount,omitempty" doc:"What would be moved or held, or was asked for where it would fail, in minor units." example:"1250"`
	Refundable *int64         `json:"refundable_after,omitempty" doc:"Of a refund: how much of the charge could still be given back after it, in minor units." example:"750"`
	Failure    *failureBody   `json:"failure,omitempty" doc:"Why it would fail."`
	Operation  *operationBody `json:"operation,omitempty" doc:"Where the request has its outcome already: the operation."`
}

// triableOutput is that of what may be tried: an operation, or a dry run.
type triableOutput = answerOutput[any]

// submitOrTry queues the request, or says what it would come to.
func (s *Server) submitOrTry(ctx context.Context, r ledger.Request, faults []Fault, prefer string, dry dryRunParam) (*triableOutput, error) {
	if dry.set() {
		return s.try(ctx, r, faults)
	}
	out, err := s.submit(ctx, r, faults, s.patience(ctx, prefer))
	if err != nil {
		return nil, err
	}
	return &triableOutput{
		Status: out.Status, Location: out.Location, RetryAfter: out.RetryAfter, Applied: out.Applied, Replayed: out.Replayed, Body: &out.Body,
	}, nil
}

// try says what the request would come to now. It is refused as the request itself would be, except for trouble of the queue.
func (s *Server) try(ctx context.Context, r ledger.Request, faults []Fault) (*triableOutput, error) {
	r, err := s.checked(ctx, r, faults, place)
	if err != nil {
		return nil, err
	}
	if err := s.admitWallet(ctx, r); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	tried, err := s.dryRuns.DryRun(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("dry run: %w", err)
	}
	return &triableOutput{Status: http.StatusOK, Body: newDryRun(tried, caller(ctx))}, nil
}

func newDryRun(tried DryRun, k ledger.Key) dryRunBody {
	d := outcomes.Decided{Operation: tried.Operation}
	if tried.Decided != nil {
		d = *tried.Decided
	}
	shown := newOperation(d, k)
	b := dryRunBody{
		Object: "dry_run", Kind: shown.Kind, Would: "accept", Decided: tried.Decided != nil, AsOf: shown.DecidedAt,
		Amount: shown.Amount, Refundable: shown.Refundable, Failure: shown.Failure,
	}
	if d.Reason != "" {
		b.Would = "fail"
	}
	if b.Decided {
		b.Operation = &shown
	}
	return b
}

// describeDryRun says of the route's answers which are operations, and which may be dry runs.
func describeDryRun(schemas huma.Registry, op *huma.Operation) {
	operation := schemas.Schema(reflect.TypeFor[operationBody](), true, "")
	dryRun := schemas.Schema(reflect.TypeFor[dryRunBody](), true, "")
	op.Responses["202"].Content = map[string]*huma.MediaType{"application/json": {Schema: operation}}
	op.Responses["200"].Description += "; with dry_run: what it would come to"
	op.Responses["200"].Content = map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		OneOf:         []*huma.Schema{operation, dryRun},
		Discriminator: &huma.Discriminator{PropertyName: "object", Mapping: map[string]string{"operation": operation.Ref, "dry_run": dryRun.Ref}},
	}}}
}
