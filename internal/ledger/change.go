package ledger

import (
	"strconv"
	"time"
)

// Action is what somebody did that is no operation. Actions are stored and shown: add new
// ones, never rename one.
type Action string

// The actions.
const (
	ActionClientCreated        Action = "client_created"
	ActionMerchantCreated      Action = "merchant_created"
	ActionMerchantSuspended    Action = "merchant_suspended"
	ActionMerchantResumed      Action = "merchant_resumed"
	ActionKeyCreated           Action = "api_key_created"
	ActionKeyRotated           Action = "api_key_rotated" // its successor is created in the same moment
	ActionKeyRevoked           Action = "api_key_revoked"
	ActionDeploymentChanged    Action = "deployment_changed" // what the database belongs to
	ActionProgressSet          Action = "progress_set"       // of a partition
	ActionDeadLetterDiscarded  Action = "dead_letter_discarded"
	ActionDeadLetterSubmitting Action = "dead_letter_submitting" // before its record is written
	ActionDeadLetterSubmitted  Action = "dead_letter_submitted"  // once the record is known to be
)

// Actions lists them all.
func Actions() []Action {
	return []Action{
		ActionClientCreated, ActionMerchantCreated, ActionMerchantSuspended, ActionMerchantResumed, ActionKeyCreated, ActionKeyRotated,
		ActionKeyRevoked, ActionDeploymentChanged, ActionProgressSet, ActionDeadLetterDiscarded, ActionDeadLetterSubmitting,
		ActionDeadLetterSubmitted,
	}
}

// Author is who changes something that is no operation, and why.
type Author struct {
	Asker
	Person    string // at the command line: who ran it, and where; empty for who came over the API
	RequestID string // of the API
	Reason    string // as given; empty: none
}

// Person is the author at the command line: in the operator's name, without a key.
func Person(name, reason string) Author {
	return Author{Asker: Asker{Party: Party{Role: RoleOperator}}, Person: name, Reason: reason}
}

// Facts are what a change found or left, by name: flat, and never a secret nor its hash.
type Facts map[string]string

// Change is what somebody changed that is no operation: one row of the audit log. It is
// never changed itself.
type Change struct {
	ID            ChangeID
	At            time.Time // of the database's clock
	By            Author
	Login         string // as whom the command or the service logged in to the database
	Action        Action
	About         string // an ID, a partition, the place of a dead letter, a part of the deployment
	Operation     OperationID
	Before, After Facts // what changed; nil: there was nothing
}

// Facts are what an audit log shows of a client.
func (c Client) Facts() Facts { return Facts{"name": c.Name} }

// Facts are what an audit log shows of a merchant.
func (m Merchant) Facts() Facts {
	f := Facts{"name": m.Name}
	if !m.Owner.IsZero() {
		f["client_id"] = m.Owner.String()
	}
	return f
}

// Facts are what an audit log shows of a key.
func (k Key) Facts() Facts {
	f := Facts{"role": string(k.Role), "name": k.Name}
	if k.Role != RoleOperator {
		f[string(k.Role)+"_id"] = k.Party.String()
	}
	if k.Rate != 0 {
		f["rate"] = strconv.Itoa(k.Rate)
	}
	for name, at := range map[string]time.Time{"expires_at": k.ExpiresAt, "revoked_at": k.RevokedAt} {
		if !at.IsZero() {
			f[name] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	return f
}
