package ingest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

// explanationBody is an operation, and the way that it went.
type explanationBody struct {
	Object    string        `json:"object" doc:"What this is." enum:"explanation" example:"explanation"`
	Operation operationBody `json:"operation" doc:"The operation, as it is read by its ID."`
	Received  *receivedBody `json:"received,omitempty" doc:"How it was asked for. Absent while it is pending: nothing of it is on record yet."`
	Queued    *queuedBody   `json:"queued,omitempty" doc:"Where it waited. Absent of what is decided at once."`
	Checks    []checkBody   `json:"checks" nullable:"false" doc:"What was checked to decide it, in this order. It failed for the first check that did not pass."`
	Effect    string        `json:"effect" doc:"What came of it, in words." example:"The wallet paid 1250."`
}

type receivedBody struct {
	At          string `json:"at,omitempty" format:"date-time" doc:"When the request was received." example:"2026-01-02T15:04:05.000000Z"`
	Key         string `json:"idempotency_key,omitempty" doc:"The request's Idempotency-Key. Shown to who asked and to the operator." example:"order-8821"`
	ApplyBefore string `json:"apply_before,omitempty" format:"date-time" doc:"The time before which it was to be decided." example:"2030-01-02T15:04:05.000000Z"`
	Text        string `json:"text" doc:"The same in words." example:"It was asked for with a merchant's key."`
}

type queuedBody struct {
	Partition int    `json:"partition" doc:"The partition of the queue." example:"7"`
	Log       *int32 `json:"log,omitempty" doc:"Of what is decided: the number of the log, 1 for the first one." example:"1"`
	Offset    *int64 `json:"offset,omitempty" doc:"The request's place in that log." example:"1042"`
	Text      string `json:"text" doc:"The same in words." example:"It was queued in partition 7, log 1, offset 1042."`
}

type checkBody struct {
	Reason  string            `json:"reason" doc:"The reason for which the operation fails if the check does." example:"insufficient_funds"`
	Result  string            `json:"result" doc:"What came of the check. It was not reached where one before it failed." enum:"passed,failed,not_reached" example:"passed"`
	Text    string            `json:"text" doc:"What was found, in words." example:"The wallet has enough available money."`
	Numbers map[string]int64  `json:"numbers,omitempty" doc:"What was compared: amounts in minor units, and counts. Those of the wallet are shown to its owner and the operator." example:"{\"needed\":1250,\"available\":5000}"`
	Times   map[string]string `json:"times,omitempty" doc:"What times were compared." example:"{\"decided_at\":\"2026-01-02T15:04:05.012345Z\"}"`
}

type explainInput struct {
	ID     string         `path:"id" doc:"The operation's ID." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Offset optionalOffset `query:"offset" doc:"The offset that the 202 named; with it a pending answer says exactly how many records are ahead." example:"1042"`
}

type explainOutput struct{ Body explanationBody }

func (s *Server) explaining() {
	handle(s, route{
		method: http.MethodGet, path: "/v1/operations/{id}/explain", id: "explain-operation", summary: "Explain an operation",
		description: "Shows how an operation came to its outcome, step by step, in words and as data: how it was asked for, where it waited, what was checked in which order, " +
			"and the numbers that were compared. To those who may read the operation; a merchant is shown nothing of the wallet's balance.",
		status: http.StatusOK, codes: []Code{CodeNotFound},
	}, s.explain)
}

// explain shows how an operation came to its outcome to whom it concerns, and that it is pending to everybody who has its ID.
func (s *Server) explain(ctx context.Context, in *explainInput) (*explainOutput, error) {
	id, err := s.issued(in.ID, "path.id")
	if err != nil {
		return nil, err
	}
	a, err := s.find(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read operation: %w", err)
	}
	b := explanationBody{Object: "explanation", Checks: []checkBody{}}
	if b.Operation, err = s.shown(ctx, id, in.Offset, a); err != nil {
		return nil, err
	}
	partition := id.Partition(s.partitions)
	if a.Found {
		b.decided(a.Decided, partition, caller(ctx))
	} else {
		b.pending(partition, in.Offset)
	}
	return &explainOutput{Body: b}, nil
}

// pending says of an operation without an outcome where it waits.
func (b *explanationBody) pending(partition int, offset optionalOffset) {
	q := &queuedBody{Partition: partition, Text: fmt.Sprintf("It waits in partition %d.", partition)}
	if ahead := b.Operation.RecordsAhead; ahead != nil {
		most := " at most"
		if offset.Set {
			q.Offset, most = &offset.Value, ""
		}
		q.Text = fmt.Sprintf("It waits in partition %d, behind%s %d records.", partition, most, *ahead)
	}
	if in := b.Operation.DecidedIn; in != nil {
		q.Text += fmt.Sprintf(" They and it take about %d s.", *in)
	}
	b.Queued, b.Effect = q, "Nothing yet: it has no outcome."
}

// decided says what the key may see of the way to an outcome.
func (b *explanationBody) decided(d outcomes.Decided, partition int, k ledger.Key) {
	wallet := k.SeesWallet(d.Owner)
	b.Received = &receivedBody{At: stamp(d.ReceivedAt), ApplyBefore: stamp(d.ApplyBefore), Text: "It is not known who asked for it."}
	if d.Asker.Role != "" {
		b.Received.Text = fmt.Sprintf("It was asked for by the role %s.", d.Asker.Role)
	}
	if k.Role == ledger.RoleOperator || k.Party == d.Asker.Party {
		b.Received.Key = d.IdempotencyKey
	}
	if !d.Place.IsZero() {
		b.Queued = &queuedBody{
			Partition: partition, Log: &d.Place.Log, Offset: &d.Place.Offset,
			Text: fmt.Sprintf("It was queued in partition %d, log %d, offset %d.", partition, d.Place.Log, d.Place.Offset),
		}
	}
	for _, c := range d.Checks(wallet) {
		b.Checks = append(b.Checks, checkBody{
			Reason: string(c.Reason), Result: string(c.Result), Text: c.Text, Numbers: c.Numbers, Times: stamps(c.Times),
		})
	}
	b.Effect = d.Effect(wallet)
}

func stamps(times map[string]time.Time) map[string]string {
	if times == nil {
		return nil
	}
	texts := make(map[string]string, len(times))
	for name, t := range times {
		texts[name] = stamp(t)
	}
	return texts
}
