package ingest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

// operationBody is an operation as the API shows it. While it is pending it says
// nothing of what was asked: whoever retries under its key with another request
// would be misled.
type operationBody struct {
	ID           string            `json:"id" doc:"The operation's ID. A retry of the same request has the same one." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Object       string            `json:"object" doc:"What this is." enum:"operation" example:"operation" csv:"-"`
	Kind         string            `json:"kind,omitempty" doc:"What was asked of the wallet." example:"charge"`
	Status       string            `json:"status" doc:"How far the operation has come. Accepted and failed are final." enum:"pending,accepted,failed" example:"accepted"`
	Done         bool              `json:"done" doc:"Whether the status is final." example:"true" csv:"-"`
	Partition    *int              `json:"partition,omitempty" doc:"In a 202: the partition of the queue that holds the request." example:"7" csv:"-"`
	Offset       *int64            `json:"offset,omitempty" doc:"In a 202: the request's place in that partition." example:"1042" csv:"-"`
	RecordsAhead *int64            `json:"records_ahead,omitempty" doc:"While pending: how many records are to be decided before this one, or at most, where the request named no offset." example:"12" csv:"-"`
	DecidedIn    *int64            `json:"decided_in_seconds,omitempty" doc:"While pending: about how long until the outcome is there, at the pace of the last seconds. Absent: not known." example:"3"`
	WalletID     string            `json:"wallet_id,omitempty" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	MerchantID   string            `json:"merchant_id,omitempty" doc:"The merchant that is paid." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	MerchantName string            `json:"merchant_name,omitempty" doc:"What the merchant is called now; absent: there is no such merchant." example:"Café Orto"`
	AskedBy      *askerBody        `json:"asked_by,omitempty" doc:"Who asked."`
	Amount       int64             `json:"amount,omitempty" doc:"The amount in minor units." example:"1250"`
	Currency     string            `json:"currency,omitempty" doc:"The currency, ISO 4217." example:"EUR"`
	Charge       string            `json:"charge,omitempty" doc:"Of a refund: the charge, or the capture, that it gives back." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Refundable   *int64            `json:"refundable_after,omitempty" doc:"Of a refund: how much of the charge could still be given back after it, in minor units." example:"750"`
	Refunded     int64             `json:"amount_refunded,omitempty" doc:"Of a charge or a capture: how much of it was given back up to now, in minor units." example:"500"`
	Hold         string            `json:"hold,omitempty" doc:"Of a capture, a release or an expiry: the hold." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Final        *bool             `json:"final,omitempty" doc:"Of a capture: whether it ended the hold, and gave back what was left." example:"true"`
	RemainsAfter *int64            `json:"remaining_after,omitempty" doc:"Of a capture, a release or an expiry: how much was held after it, in minor units." example:"0"`
	ExpiresIn    int64             `json:"expires_in,omitempty" doc:"Of a hold: how many seconds it was to be open at most." example:"86400"`
	Holding      *holdingBody      `json:"holding,omitempty" doc:"Of an accepted hold: what became of it up to now."`
	Charges      string            `json:"charges,omitempty" doc:"Of an open: who may charge the wallet." enum:"mandated,anyone" example:"mandated"`
	Limits       *termsBody        `json:"limits,omitempty" doc:"Of a grant: what the mandate allows; what is left out is not limited."`
	Invoice      string            `json:"invoice,omitempty" doc:"The merchant's invoice." example:"INV-1001"`
	Reference    string            `json:"reference,omitempty" doc:"Of a top-up or a withdrawal: the reference of the transfer outside." example:"E2E-20260102-0017"`
	Description  string            `json:"description,omitempty" doc:"What the request said for people." example:"Monthly plan"`
	Metadata     map[string]string `json:"metadata,omitempty" doc:"What the request said for machines." example:"{\"order\":\"8821\"}"`
	Note         string            `json:"note,omitempty" doc:"What an operator wrote for operators. Shown to operators alone." example:"Case 93, do not tip off"`
	Sequence     int64             `json:"sequence,omitempty" doc:"The operation's position in the history of its wallet: 1, 2, 3 ... Shown to the wallet's owner and the operator." example:"42"`
	LimitAfter   *int64            `json:"credit_limit_after,omitempty" doc:"The wallet's credit limit after the operation, in minor units. Shown to the wallet's owner and the operator." example:"5000"`
	BalanceAfter *int64            `json:"balance_after,omitempty" doc:"The wallet's balance after the operation, in minor units. Shown to the wallet's owner and the operator." example:"8750"`
	HeldAfter    *int64            `json:"held_after,omitempty" doc:"What the wallet's open holds held after the operation, in minor units. Shown to the wallet's owner and the operator." example:"5000"`
	Failure      *failureBody      `json:"failure,omitempty" doc:"Why the operation failed."`
	Conflicts    *int              `json:"conflicting_requests,omitempty" doc:"How many other requests came under the same ID. None of them had an effect." example:"0"`
	ReceivedAt   string            `json:"received_at,omitempty" format:"date-time" doc:"When the request was received." example:"2026-01-02T15:04:05.000000Z"`
	DecidedAt    string            `json:"decided_at,omitempty" format:"date-time" doc:"When the operation got its outcome." example:"2026-01-02T15:04:05.012345Z"`
}

type failureBody struct {
	Reason      string `json:"reason" doc:"Why: the first that holds of a closed set." example:"insufficient_funds"`
	Comment     string `json:"comment" doc:"The reason as a sentence for people." example:"The wallet does not have enough available money." csv:"-"`
	Advice      string `json:"advice" doc:"What to do about it." enum:"do_not_retry,retry_with_new_key,retry_after_top_up,fix_request" example:"retry_after_top_up"`
	DuplicateOf string `json:"duplicate_of,omitempty" doc:"Of a duplicate_invoice: the accepted charge." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Limit       string `json:"limit,omitempty" doc:"Of a mandate_limit_exceeded: the limit of the mandate." enum:"max_amount,per_day,per_month,total" example:"per_day"`
	LimitLeft   *int64 `json:"limit_left,omitempty" doc:"Of a mandate_limit_exceeded: how much the limit would have let through, in minor units." example:"750"`
}

// holdingBody adds up: captured, released, expired and remaining are the hold's amount.
type holdingBody struct {
	State         string `json:"state" doc:"What became of the hold. It is open while something remains. Then it is expired, if its expiry ended it; else captured, if anything was captured; else released." enum:"open,captured,released,expired" example:"open"`
	Captured      int64  `json:"captured" doc:"What was captured, in minor units." example:"4200"`
	Released      int64  `json:"released" doc:"What was given back by releases and by the last capture, in minor units." example:"0"`
	Expired       int64  `json:"expired" doc:"What was given back when the hold expired, in minor units." example:"0"`
	Remaining     int64  `json:"remaining" doc:"What is held still, in minor units." example:"800"`
	CaptureBefore string `json:"capture_before" format:"date-time" doc:"A capture that is answered 202 before this time is not refused for the hold's expiry." example:"2026-01-02T15:04:05.000000Z"`
}

func newHolding(d outcomes.Decided) *holdingBody {
	if d.Hold == nil {
		return nil
	}
	h := d.Hold
	b := &holdingBody{
		State: "open", Captured: h.Captured, Released: d.Amount - h.Captured - h.Expired - h.Remaining, Expired: h.Expired,
		Remaining: h.Remaining, CaptureBefore: stamp(d.ExpiresAt()),
	}
	switch {
	case h.Remaining > 0:
	case h.Expired > 0:
		b.State = "expired"
	case h.Captured > 0:
		b.State = "captured"
	default:
		b.State = "released"
	}
	return b
}

type askerBody struct {
	Role       string `json:"role" doc:"What the API key may do that it was asked with." enum:"merchant,client,operator,system" example:"merchant"`
	MerchantID string `json:"merchant_id,omitempty" doc:"The merchant whose key it was. Shown to itself and the operator." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	ClientID   string `json:"client_id,omitempty" doc:"The client whose key it was. Shown to itself and the operator." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	APIKeyID   string `json:"api_key_id,omitempty" doc:"The API key. Shown to its owner and the operator." example:"key_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

// newAsker is what the key may see of who asked; nil where it is not known.
func newAsker(a ledger.Asker, k ledger.Key) *askerBody {
	if a.Role == "" {
		return nil
	}
	b := &askerBody{Role: string(a.Role)}
	if k.Role != ledger.RoleOperator && k.Party != a.Party {
		return b
	}
	switch a.Role {
	case ledger.RoleMerchant:
		b.MerchantID = a.String()
	case ledger.RoleClient:
		b.ClientID = a.String()
	case ledger.RoleOperator, ledger.RoleSystem:
	}
	if !a.Key.IsZero() {
		b.APIKeyID = a.Key.String()
	}
	return b
}

func newPending(id ledger.OperationID) operationBody {
	return operationBody{ID: id.String(), Object: "operation", Status: string(ledger.StatusPending)}
}

// newOperation is what the key may see of a decided operation.
func newOperation(d outcomes.Decided, k ledger.Key) operationBody {
	b := operationBody{
		ID: d.ID.String(), Object: "operation", Kind: string(d.Kind), Status: string(d.Status()), Done: true,
		WalletID: d.Wallet.String(), Amount: d.Amount, Currency: string(d.Currency), Invoice: d.Invoice,
		Reference: d.Reference, Description: d.Description, Conflicts: &d.Conflicts, ReceivedAt: stamp(d.ReceivedAt), DecidedAt: stamp(d.DecidedAt),
		AskedBy: newAsker(d.Asker, k),
	}
	if !d.Merchant.IsZero() {
		b.MerchantID, b.MerchantName = d.Merchant.String(), d.MerchantName
	}
	if k.Role == ledger.RoleOperator {
		b.Note = d.Note
	}
	switch d.Kind {
	case ledger.KindOpen:
		b.Charges = chargesText(d.Charges)
	case ledger.KindGrant:
		b.Limits = ptr(newTerms(d.Terms))
	default:
	}
	b.Refunded, b.ExpiresIn, b.Holding = d.Refunded, d.ExpiresIn, newHolding(d)
	b.refer(d)
	// Only canonical text is ever stored; were it not, an answer without
	// metadata would still be better than none.
	b.Metadata, _ = d.Metadata.Map()
	if d.Sequence != 0 && k.SeesWallet(d.Owner) {
		b.Sequence, b.BalanceAfter, b.HeldAfter, b.LimitAfter = d.Sequence, &d.BalanceAfter, &d.HeldAfter, &d.LimitAfter
	}
	if d.Reason != "" {
		b.Failure = &failureBody{
			Reason: string(d.Reason), Comment: d.Reason.Comment(), Advice: string(d.Reason.Advice()),
		}
		if !d.DuplicateOf.IsZero() {
			b.Failure.DuplicateOf = d.DuplicateOf.String()
		}
		if d.MandateLimit != "" {
			b.Failure.Limit, b.Failure.LimitLeft = string(d.MandateLimit), &d.LeftAfter
		}
	}
	return b
}

// refer says what the operation refers to, and what it left of that.
func (b *operationBody) refer(d outcomes.Decided) {
	if d.Refers.IsZero() {
		return
	}
	if d.Moved != 0 {
		b.Amount = d.Moved // also where the request left it open
	}
	var left *int64
	switch d.Reason {
	case ledger.ReasonChargeNotFound, ledger.ReasonHoldNotFound, ledger.ReasonProcessingError: // nothing is known of it
	default:
		left = &d.LeftAfter
	}
	if d.Kind == ledger.KindRefund {
		b.Charge, b.Refundable = d.Refers.String(), left
		return
	}
	b.Hold, b.RemainsAfter = d.Refers.String(), left
	if d.Kind == ledger.KindCapture {
		final := d.Rest != ledger.RestKept
		b.Final = &final
	}
}

// stamp is a time as the API shows it; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

type operationInput struct {
	ID     string         `path:"id" doc:"The operation's ID." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Offset optionalOffset `query:"offset" doc:"The offset that the 202 named; with it a pending answer says exactly how many records are ahead." example:"1042"`
	Prefer string         `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, for the outcome (RFC 7240)." example:"wait=5"`
}

// answerOutput is the answer to what is asked of a wallet.
type answerOutput[B any] struct {
	Status     int
	Location   string `header:"Location" doc:"Where the operation can be read." example:"/v1/operations/op_0h8n6m2k4q9r7s1t3v5w8x0y2z?offset=1042"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to read again." example:"1"`
	Applied    string `header:"Preference-Applied" doc:"The wait that was applied." example:"wait=5"`
	Replayed   string `header:"Idempotent-Replayed" doc:"true: the answer is what an earlier request under the same key came to." example:"true"`
	Body       B
}

type operationOutput = answerOutput[operationBody]

// operation shows an operation: its outcome to whom it concerns, and that it is
// pending to everybody who has its ID.
func (s *Server) operation(ctx context.Context, in *operationInput) (*operationOutput, error) {
	id, err := s.issued(in.ID, "path.id")
	if err != nil {
		return nil, err
	}
	wait := s.patience(ctx, in.Prefer)
	a, err := s.find(ctx, id)
	if err == nil && !a.Found && wait > 0 {
		if a.Decided, a.Found = s.await(ctx, id, in.Offset.or(outcomes.UnknownOffset), wait); !a.Found {
			a, err = s.find(ctx, id) // how far its partition has come meanwhile
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read operation: %w", err)
	}
	out := &operationOutput{Status: http.StatusOK, Applied: applied(wait)}
	if out.Body, err = s.shown(ctx, id, in.Offset, a); err != nil {
		return nil, err
	}
	if !a.Found {
		out.RetryAfter = retryAfter
	}
	return out, nil
}

// issued reads the ID of an operation at the place. It fails where it was never given out.
func (s *Server) issued(text, place string) (ledger.OperationID, error) {
	id, err := ledger.ParseOperationID(text)
	switch {
	case err != nil:
		return id, invalid([]Fault{{Location: place, Message: "is not an operation ID"}})
	case !s.minter.Issued(id):
		return id, ledger.ErrNotFound
	}
	return id, nil
}

// shown is what the caller may see of an operation, of which a is known: its outcome, if it concerns the caller, or that it is pending.
func (s *Server) shown(ctx context.Context, id ledger.OperationID, offset optionalOffset, a outcomes.Answer) (b operationBody, err error) {
	if a.Found {
		if !caller(ctx).SeesOperation(a.Operation, a.Owner) {
			return b, ledger.ErrNotFound
		}
		return newOperation(a.Decided, caller(ctx)), nil
	}
	b = newPending(id)
	return b, s.queueAhead(ctx, &b, id, offset, a.Next)
}

func (s *Server) find(ctx context.Context, id ledger.OperationID) (outcomes.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return s.reads.Find(ctx, id)
}

// await waits for an outcome for as long as is asked, but not beyond the
// service's own end. The offset is that of its record, as far as is known.
func (s *Server) await(ctx context.Context, id ledger.OperationID, offset int64, wait time.Duration) (outcomes.Decided, bool) {
	release(ctx)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	q := s.watch.Await(id, id.Partition(s.partitions), offset)
	defer s.watch.Drop(q)
	select {
	case a := <-q.Answer():
		return a.Decided, a.Found
	case <-ctx.Done():
	case <-s.drain:
	}
	return outcomes.Decided{}, false
}

// queueAhead says of a pending operation how many records are to be settled before it, and how long that takes at the pace
// of late; nothing of what cannot be told, because Kafka does not answer or because the pace is not known.
func (s *Server) queueAhead(ctx context.Context, b *operationBody, id ledger.OperationID, offset optionalOffset, next map[int]ledger.Place) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	partition := id.Partition(s.partitions)
	at, known := next[partition]
	if !known {
		return fmt.Errorf("partition %d has no progress", partition)
	}
	// The offset is what the caller says: it may be made up, or one of another log.
	end, err := s.queue.End(ctx, partition, offset.Value)
	if err != nil {
		s.log.WarnContext(ctx, "end of partition not known", "partition", partition, "err", err)
		return nil
	}
	s.pace.See(partition, at, end)
	until := end
	if offset.Set {
		until = min(until, offset.Value)
	}
	ahead := max(0, until-at.Offset)
	b.RecordsAhead = &ahead
	if takes, known := s.pace.Takes(partition, ahead+1); known {
		b.DecidedIn = ptr(int64(math.Ceil(takes.Seconds())))
	}
	return nil
}

// optionalOffset is an offset in a query: 0 is one, and absent is none.
type optionalOffset struct {
	Value int64
	Set   bool
}

// or is the offset, or what stands for none.
func (o optionalOffset) or(none int64) int64 {
	if o.Set {
		return o.Value
	}
	return none
}

// Receiver tells huma where to put the value.
func (o *optionalOffset) Receiver() reflect.Value { return reflect.ValueOf(o).Elem().Field(0) }

// OnParamSet hears from huma whether there was one.
func (o *optionalOffset) OnParamSet(set bool, _ any) { o.Set = set }

// Schema describes the offset.
func (o optionalOffset) Schema(huma.Registry) *huma.Schema {
	least := 0.0
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &least}
}
