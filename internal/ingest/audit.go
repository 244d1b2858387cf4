package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/monedero/monedero/internal/ledger"
)

// maxAbout bounds what an audit log is asked about, in characters.
const maxAbout = 64

// onlyChanges asks for a list of what was done without operations.
const onlyChanges = "changes"

type auditInput struct {
	Listed
	About string `query:"about" doc:"Only what was done about this: an ID (of a client, merchant, wallet or key), 'partition 3', the place of a dead letter, or a part of the deployment." example:"partition 3"`
	Only  string `query:"only" enum:"changes" doc:"changes: no operations." example:"changes"`
}

type auditEntryBody struct {
	Object      string            `json:"object" doc:"What this is." enum:"audit_entry" example:"audit_entry"`
	ID          string            `json:"id,omitempty" doc:"The change's ID; absent: it was an operation." example:"chg_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	At          string            `json:"at" format:"date-time" doc:"When it was done: the database's clock; of an operation, when it was decided." example:"2026-01-02T15:04:05.000000Z"`
	Action      string            `json:"action" doc:"What was done: a change, or the operation's kind; absent: the record's kind could not be read." example:"api_key_revoked"`
	About       string            `json:"about" doc:"What it was done to: an ID, a partition, the place of a dead letter, a part of the deployment." example:"partition 3"`
	Role        string            `json:"role,omitempty" doc:"Of a change: in which role it was made." enum:"merchant,client,operator" example:"operator"`
	MerchantID  string            `json:"merchant_id,omitempty" doc:"Of a change that a merchant made: the merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	ClientID    string            `json:"client_id,omitempty" doc:"Of a change that a client made: the client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	KeyID       string            `json:"key_id,omitempty" doc:"Of a change over the API: the key." example:"key_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Person      string            `json:"person,omitempty" doc:"Of a change at the command line: who ran it, and where." example:"ana@ops-1"`
	Before      map[string]string `json:"before,omitempty" doc:"What changed, as it was: a flat object of strings." example:"{\"suspended\":\"false\"}"`
	After       map[string]string `json:"after,omitempty" doc:"What changed, as it is since: a flat object of strings." example:"{\"suspended\":\"true\"}"`
	Note        string            `json:"note,omitempty" doc:"Of a change: why, as given." example:"Ticket 4711"`
	RequestID   string            `json:"request_id,omitempty" doc:"Of a change over the API: the request's ID." example:"req_4f2a9c0d1e8b7a65"`
	OperationID string            `json:"operation_id,omitempty" doc:"Of a dead letter that was submitted: the operation that it was submitted as." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Operation   *operationBody    `json:"operation,omitempty" doc:"The operation, if it was one."`
}

type auditBody struct {
	Object     string           `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []auditEntryBody `json:"data" nullable:"false" doc:"What was done."`
	HasMore    bool             `json:"has_more" doc:"Whether there is another page, however many this one shows." example:"true"`
	NextCursor string           `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

// audit lists what was done: changes and operations, merged by time. An operation's own
// row is its audit.
func (s *Server) audit(ctx context.Context, in *auditInput) (*listOutput[auditBody], error) {
	if len(in.About) > maxAbout || !isVisible(in.About) {
		return nil, invalid([]Fault{{Location: "query.about", Message: fmt.Sprintf("must be printable ASCII, %d characters at most", maxAbout)}})
	}
	size := 0
	read := func(ctx context.Context, limit int, after *Cursor) ([]AuditEntry, *Cursor, error) {
		page, err := s.registry.Audit(ctx, AuditFilter{About: in.About, ChangesOnly: in.Only == onlyChanges, Limit: limit, After: after})
		for _, e := range page.Entries {
			if o := e.Operation; o != nil {
				size += o.TextBytes()
			}
		}
		if errors.Is(err, ErrTooWide) {
			err = refuse(CodeFilterRequired, "there are too many partitions for a list of everything: it needs about, or only=changes")
		}
		return page.Entries, page.Next, err
	}
	show := func(e AuditEntry) auditEntryBody { return newAuditEntry(e, caller(ctx)) }
	data, next, err := listOf(ctx, s, in.Listed, []string{"audit", in.About, in.Only}, read, show)
	if err != nil {
		return nil, err
	}
	if err := s.holdPage(ctx, size); err != nil {
		return nil, err
	}
	return &listOutput[auditBody]{Link: in.link(next), Body: auditBody{Object: "list", Data: data, HasMore: next != "", NextCursor: next}}, nil
}

// isVisible reports whether the text is printable ASCII.
func isVisible(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool { return b < ' ' || b > '~' })
}

func newAuditEntry(e AuditEntry, k ledger.Key) auditEntryBody {
	if e.Change != nil {
		return newChange(*e.Change)
	}
	o := newOperation(*e.Operation, k)
	return auditEntryBody{Object: "audit_entry", At: o.DecidedAt, Action: o.Kind, About: o.WalletID, Operation: &o}
}

func newChange(c ledger.Change) auditEntryBody {
	b := auditEntryBody{
		Object: "audit_entry", ID: c.ID.String(), At: stamp(c.At), Action: string(c.Action), About: c.About, Role: string(c.By.Role),
		Person: c.By.Person, Before: c.Before, After: c.After, Note: c.By.Reason, RequestID: c.By.RequestID,
	}
	switch c.By.Role {
	case ledger.RoleMerchant:
		b.MerchantID = c.By.Party.String()
	case ledger.RoleClient:
		b.ClientID = c.By.Party.String()
	case ledger.RoleOperator, ledger.RoleSystem:
	}
	if !c.By.Key.IsZero() {
		b.KeyID = c.By.Key.String()
	}
	if !c.Operation.IsZero() {
		b.OperationID = c.Operation.String()
	}
	return b
}
