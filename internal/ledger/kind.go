package ledger

// Kind says what is asked of a wallet. Kinds are stored and shown: add new
// ones, never rename one.
type Kind string

// The kinds of operation.
const (
	KindOpen     Kind = "open"
	KindTopUp    Kind = "top_up"
	KindCharge   Kind = "charge"
	KindFreeze   Kind = "freeze"
	KindUnfreeze Kind = "unfreeze"
	KindClose    Kind = "close"
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{KindOpen, KindTopUp, KindCharge, KindFreeze, KindUnfreeze, KindClose}
}

// Known reports whether the kind is one of ours.
func (k Kind) Known() bool {
	switch k {
	case KindOpen, KindTopUp, KindCharge, KindFreeze, KindUnfreeze, KindClose:
		return true
	}
	return false
}

// Queued reports whether operations of the kind travel through Kafka. The
// others are direct: they must not wait behind the charges they are to stop.
func (k Kind) Queued() bool { return k == KindCharge || k == KindTopUp }

// MovesMoney reports whether operations of the kind carry an amount.
func (k Kind) MovesMoney() bool { return k == KindCharge || k == KindTopUp }
