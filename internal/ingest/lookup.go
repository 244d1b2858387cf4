package ingest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/throttle"
)

// The limits of a look-up of many operations.
const (
	maxLookupIDs = 1000
	// lookupChunk operations are read at once, and nothing more once what the answer holds is beyond lookupBytes.
	lookupChunk = 100
	lookupBytes = 1 << 20
	// lookAgain is the least time from one look at all that are pending to the next, while the request waits.
	lookAgain = 20 * time.Millisecond
)

type lookupBody struct {
	IDs []string `json:"ids" doc:"The operations." example:"[\"op_0h8n6m2k4q9r7s1t3v5w8x0y2z\"]"`
}

type lookupInput struct {
	Prefer  string `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, until all of the operations have an outcome (RFC 7240)." example:"wait=5"`
	RawBody []byte `contentType:"application/json"`
}

type lookupOutput struct {
	RetryAfter string `header:"Retry-After" doc:"Where an operation is pending: seconds after which to read again." example:"1"`
	Applied    string `header:"Preference-Applied" doc:"The wait that was applied." example:"wait=5"`
	Body       foundBody
}

type foundBody struct {
	Object  string       `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data    []resultBody `json:"data" nullable:"false" doc:"What is to be said of each operation, in the order in which they were asked for."`
	Done    bool         `json:"done" doc:"Whether none of the operations shown is pending." example:"true"`
	HasMore bool         `json:"has_more" doc:"Whether the answer would have become too large. Then it is about the first ones only: ask for the others." example:"false"`
}

// resultBody is what a request for one thing would have been answered.
type resultBody struct {
	Status    int            `json:"status" minimum:"200" maximum:"599" doc:"The HTTP status that this one, asked for alone, would have been answered with." example:"200"`
	Operation *operationBody `json:"operation,omitempty" doc:"Of a success: the operation."`
	Problem   *Problem       `json:"problem,omitempty" doc:"Of any other status: the problem."`
}

// refused is the result of what fails.
func (s *Server) refused(ctx context.Context, err error) resultBody {
	p := s.problem(ctx, err)
	return resultBody{Status: p.Status, Problem: p}
}

// lookup shows many operations, each as [Server.operation] would.
func (s *Server) lookup(ctx context.Context, in *lookupInput) (*lookupOutput, error) {
	b, faults, err := decode[lookupBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	if n := len(b.IDs); n == 0 || n > maxLookupIDs {
		faults = addFault(faults, inBody("ids"), fmt.Sprintf("must be 1 to %d operation IDs", maxLookupIDs))
	}
	if err := invalid(faults); err != nil {
		return nil, err
	}
	wait := s.patience(ctx, in.Prefer)
	if wait > 0 {
		var ids []ledger.OperationID
		for _, text := range b.IDs {
			if id, err := s.issued(text, ""); err == nil {
				ids = append(ids, id)
			}
		}
		s.awaitAll(ctx, ids, wait)
	}
	out := &lookupOutput{Applied: applied(wait), Body: foundBody{Object: "list", Data: make([]resultBody, 0, len(b.IDs)), Done: true}}
	bytes := 0
	for texts := range slices.Chunk(b.IDs, lookupChunk) {
		if bytes > lookupBytes {
			out.Body.HasMore = true
			break
		}
		n, err := s.show(ctx, texts, &out.Body)
		if err != nil {
			return nil, fmt.Errorf("look operations up: %w", err)
		}
		if err := s.holdPage(ctx, bytes+n); err != nil {
			return nil, err
		}
		bytes += n
	}
	if !out.Body.Done {
		out.RetryAfter = retryAfter
	}
	return out, nil
}

// show adds what is to be said of some operations, and returns how many bytes of text that holds.
func (s *Server) show(ctx context.Context, texts []string, b *foundBody) (bytes int, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	ids, wrong := make([]ledger.OperationID, len(texts)), make([]error, len(texts))
	questions := make([]*outcomes.Question, len(texts))
	for i, text := range texts {
		if ids[i], wrong[i] = s.issued(text, fmt.Sprintf("body.ids[%d]", len(b.Data)+i)); wrong[i] == nil {
			questions[i] = s.reads.Ask(ids[i])
			defer s.reads.Drop(questions[i])
		}
	}
	for i, q := range questions {
		if wrong[i] != nil {
			b.Data = append(b.Data, s.refused(ctx, wrong[i]))
			continue
		}
		a, err := q.Await(ctx)
		if err != nil {
			return 0, err
		}
		shown, err := s.shown(ctx, ids[i], optionalOffset{}, a)
		switch {
		case err != nil && a.Found:
			b.Data = append(b.Data, s.refused(ctx, err))
			continue
		case err != nil:
			return 0, err
		}
		bytes += a.TextBytes()
		b.Data = append(b.Data, resultBody{Status: http.StatusOK, Operation: &shown})
		b.Done = b.Done && a.Found
	}
	return bytes, nil
}

// awaitAll waits until all of the operations have an outcome, for as long as is asked, but not beyond the service's own
// end. It waits for one of them, and then looks for all others that are pending: so a request for a thousand costs little
// more than one for the last that is decided. What it finds it does not keep.
func (s *Server) awaitAll(ctx context.Context, ids []ledger.OperationID, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		ids = s.pending(ctx, ids)
		if len(ids) == 0 {
			return
		}
		// Who asks for what it submitted asks for the last one last.
		if _, found := s.await(ctx, ids[len(ids)-1], outcomes.UnknownOffset, wait); !found {
			return
		}
		if ids = ids[:len(ids)-1]; len(ids) > 0 {
			throttle.Pause(ctx, lookAgain)
		}
	}
}

// pending are those of the operations that have no outcome, as far as is known.
func (s *Server) pending(ctx context.Context, ids []ledger.OperationID) []ledger.OperationID {
	questions := make([]*outcomes.Question, len(ids))
	for i, id := range ids {
		questions[i] = s.watch.Ask(id)
		defer s.watch.Drop(questions[i])
	}
	var left []ledger.OperationID
	for i, q := range questions {
		if a, err := q.Await(ctx); err != nil || !a.Found {
			left = append(left, ids[i])
		}
	}
	return left
}
