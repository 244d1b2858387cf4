package ingest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

type directBody struct {
	Description string            `json:"description,omitempty" doc:"For people: why. The client that owns the wallet sees it." example:"Reported as stolen"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings. The client that owns the wallet sees it." example:"{\"ticket\":\"4711\"}"`
	Note        string            `json:"note,omitempty" doc:"For operators: nobody else is shown it." example:"Case 93, do not tip off"`
}

type directInput struct {
	Wallet  string `path:"wallet" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string `header:"Idempotency-Key" doc:"Makes retries safe: the same key is the same operation. Without it each request is one of its own." example:"freeze-4711"`
	RawBody []byte `contentType:"application/json"`
}

type directOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true: the answer is what an earlier request under the same key came to." example:"true"`
	Body     operationBody
}

// directly carries out an operation of the kind at once, past the queue.
func (s *Server) directly(kind ledger.Kind) func(context.Context, *directInput) (*directOutput, error) {
	return func(ctx context.Context, in *directInput) (*directOutput, error) {
		b, faults, err := decode[directBody](&s.bodies, in.RawBody)
		if err != nil {
			return nil, err
		}
		wallet, faults := pathWallet(in.Wallet, faults)
		return s.decideAtOnce(ctx, ledger.Request{
			Kind: kind, Wallet: wallet, Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata), Note: b.Note,
			IdempotencyKey: written(in.Key),
		}, faults)
	}
}

// decideAtOnce answers with what a direct request came to.
func (s *Server) decideAtOnce(ctx context.Context, r ledger.Request, faults []Fault) (*directOutput, error) {
	op, made, err := s.apply(ctx, r, faults)
	if err != nil {
		return nil, err
	}
	return &directOutput{Replayed: replayed(made), Body: newOperation(outcomes.Decided{Operation: op}, caller(ctx))}, nil
}

// apply validates a direct request, gives it its ID and carries it out.
func (s *Server) apply(ctx context.Context, r ledger.Request, faults []Fault) (op ledger.Operation, made bool, err error) {
	r.Asker, r.ReceivedAt = caller(ctx).Asker(), s.clock().UTC().Truncate(time.Microsecond)
	if err := invalid(withRules(faults, r)); err != nil {
		return ledger.Operation{}, false, err
	}
	if r.IdempotencyKey != "" {
		r.ID = s.minter.OperationID(r.Identity())
	} else {
		var entropy [10]byte
		rand.Read(entropy[:])
		r.ID = s.minter.RandomOperationID(r.Wallet, entropy)
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	op, made, err = s.direct.Apply(ctx, r)
	if err != nil {
		return ledger.Operation{}, false, fmt.Errorf("apply %s: %w", r.Kind, err)
	}
	if !made {
		s.metrics.replayed(r.Kind)
	}
	return op, made, nil
}

// replayed is the Idempotent-Replayed header.
func replayed(made bool) string {
	if made {
		return ""
	}
	return "true"
}

// created is the status of a creation.
func created(made bool) int {
	if made {
		return http.StatusCreated
	}
	return http.StatusOK
}
