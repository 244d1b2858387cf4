package ledger

import "slices"

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
	KindSetLimit Kind = "set_limit"
	KindWithdraw Kind = "withdraw"
	KindRefund   Kind = "refund"
	KindHold     Kind = "hold"
	KindCapture  Kind = "capture"
	KindRelease  Kind = "release"
	KindExpire   Kind = "expire"
	KindGrant    Kind = "grant"
	KindRevoke   Kind = "revoke"
)

// kindRow is what there is to know of a kind. Checks of requests, decisions, movements and
// audits read it, and nothing else in this package tells kinds apart.
type kindRow struct {
	kind    Kind
	asks    []Role                  // who may ask for it
	queued  bool                    // it travels through Kafka; a direct one must not wait behind the charges that it is to stop
	needs   field                   // fields that it is nothing without
	takes   field                   // fields that it may have beside those
	opens   bool                    // it makes the wallet where there is none
	limits  bool                    // it sets the wallet's credit limit to the amount, which may be zero
	credit  bool                    // it may take what the wallet's credit limit allows beyond its balance
	becomes WalletStatus            // what it makes of the wallet; empty: the status stays
	refers  []Kind                  // what the operation may be that it refers to; empty: it refers to none
	holds   bool                    // it takes the amount from what is available, and leaves it in the wallet
	uses    bool                    // it uses a mandate up, where the wallet is charged under mandates
	mandate mandateChange           // what it makes of the merchant's mandate
	moves   int64                   // how often the amount is added to the wallet, and taken from the other account
	other   func(Request) AccountID // that account
	reasons []Reason                // why it may fail, in order of precedence; processing_error always may
}

// mandateChange is what an operation is to a mandate.
type mandateChange int

const (
	mandateGiven mandateChange = iota + 1
	mandateTaken
)

//nolint:gochecknoglobals // read only
var operators = []Role{RoleOperator}

//nolint:gochecknoglobals // read only
var owners = []Role{RoleClient, RoleOperator} // of the wallet, or in the name of its owner

// kinds is the table of them.
//
//nolint:gochecknoglobals // read only, and read for every charge
var kinds = [...]kindRow{
	{
		kind: KindOpen, asks: operators, needs: fieldClient | fieldCurrency, takes: fieldNote | fieldCharges, opens: true,
		reasons: []Reason{ReasonExpired, ReasonWalletClosed},
	},
	{
		kind: KindTopUp, asks: operators, queued: true, needs: fieldAmount | fieldCurrency, takes: fieldNote | fieldReference,
		moves: 1, other: func(Request) AccountID { return FundingAccount() },
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonWalletClosed, ReasonCurrencyMismatch, ReasonAmountOverflow},
	},
	{
		kind: KindCharge, asks: []Role{RoleMerchant}, queued: true, needs: fieldMerchant | fieldAmount | fieldCurrency, takes: fieldInvoice,
		uses: true, credit: true, moves: -1, other: func(r Request) AccountID { return r.Merchant.Account() },
		reasons: []Reason{
			ReasonExpired, ReasonMerchantNotFound, ReasonMerchantSuspended, ReasonMandateRequired, ReasonSelfCharge, ReasonWalletClosed,
			ReasonWalletFrozen, ReasonCurrencyMismatch, ReasonMandateExpired, ReasonMandateLimit, ReasonDuplicateInvoice, ReasonInsufficientFunds,
		},
	},
	{
		kind: KindFreeze, asks: operators, takes: fieldNote, becomes: WalletFrozen,
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonWalletClosed},
	},
	{
		kind: KindUnfreeze, asks: operators, takes: fieldNote, becomes: WalletActive,
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonWalletClosed},
	},
	{
		kind: KindClose, asks: operators, takes: fieldNote, becomes: WalletClosed,
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonWalletNotEmpty},
	},
	{
		kind: KindSetLimit, asks: operators, needs: fieldAmount | fieldCurrency, takes: fieldNote, limits: true,
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonWalletClosed, ReasonCurrencyMismatch, ReasonLimitInUse},
	},
	{
		kind: KindWithdraw, asks: operators, queued: true, needs: fieldAmount | fieldCurrency, takes: fieldNote | fieldReference,
		moves: -1, other: func(Request) AccountID { return FundingAccount() },
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonWalletClosed, ReasonCurrencyMismatch, ReasonInsufficientFunds},
	},
	{
		kind: KindRefund, asks: []Role{RoleMerchant}, queued: true, needs: fieldMerchant | fieldRefers, takes: fieldAmount | fieldCurrency,
		refers: []Kind{KindCharge, KindCapture}, moves: 1, other: func(r Request) AccountID { return r.Merchant.Account() },
		reasons: []Reason{
			ReasonExpired, ReasonChargeNotFound, ReasonChargeNotAccepted, ReasonWalletClosed, ReasonCurrencyMismatch,
			ReasonRefundExceedsCharge, ReasonAmountOverflow,
		},
	},
	{
		kind: KindHold, asks: []Role{RoleMerchant}, queued: true, needs: fieldMerchant | fieldAmount | fieldCurrency | fieldExpiresIn, takes: fieldInvoice,
		uses: true, credit: true, holds: true,
		reasons: []Reason{
			ReasonExpired, ReasonMerchantNotFound, ReasonMerchantSuspended, ReasonMandateRequired, ReasonSelfCharge, ReasonWalletClosed,
			ReasonWalletFrozen, ReasonCurrencyMismatch, ReasonMandateExpired, ReasonMandateLimit, ReasonTooManyHolds, ReasonDuplicateInvoice, ReasonInsufficientFunds,
		},
	},
	{
		kind: KindCapture, asks: []Role{RoleMerchant}, queued: true, needs: fieldMerchant | fieldRefers, takes: fieldAmount | fieldCurrency | fieldRest,
		refers: []Kind{KindHold}, moves: -1, other: func(r Request) AccountID { return r.Merchant.Account() },
		reasons: []Reason{
			ReasonExpired, ReasonMerchantSuspended, ReasonHoldNotFound, ReasonHoldNotAccepted, ReasonWalletClosed, ReasonCurrencyMismatch,
			ReasonHoldClosed, ReasonHoldExpired, ReasonExceedsHold, ReasonTooManyCaptures,
		},
	},
	{
		kind: KindRelease, asks: []Role{RoleMerchant}, queued: true, needs: fieldMerchant | fieldRefers, takes: fieldAmount | fieldCurrency,
		refers: []Kind{KindHold},
		reasons: []Reason{
			ReasonExpired, ReasonHoldNotFound, ReasonHoldNotAccepted, ReasonWalletClosed, ReasonCurrencyMismatch,
			ReasonHoldClosed, ReasonHoldExpired, ReasonExceedsHold, ReasonTooManyCaptures,
		},
	},
	{
		kind: KindExpire, asks: []Role{RoleSystem}, queued: true, needs: fieldMerchant | fieldRefers,
		refers:  []Kind{KindHold},
		reasons: []Reason{ReasonExpired, ReasonHoldNotFound, ReasonHoldNotAccepted, ReasonHoldClosed, ReasonHoldExpired},
	},
	{
		kind: KindGrant, asks: owners, needs: fieldMerchant | fieldCurrency, takes: fieldNote | fieldTerms, mandate: mandateGiven,
		reasons: []Reason{
			ReasonExpired, ReasonMerchantNotFound, ReasonWalletNotFound, ReasonWalletClosed, ReasonCurrencyMismatch, ReasonWalletNotMandated,
			ReasonTooManyMandates,
		},
	},
	{
		kind: KindRevoke, asks: owners, needs: fieldMerchant, takes: fieldNote, mandate: mandateTaken,
		reasons: []Reason{ReasonExpired, ReasonWalletNotFound, ReasonMandateNotFound},
	},
}

// field is one of those fields of a request that belong to some kinds alone.
type field uint16

const (
	fieldMerchant field = 1 << iota
	fieldClient
	fieldAmount
	fieldCurrency
	fieldInvoice
	fieldNote
	fieldRefers
	fieldExpiresIn
	fieldRest
	fieldCharges
	fieldTerms
	fieldReference
)

// row is the kind's row; an empty one for what is no kind.
func (k Kind) row() *kindRow {
	for i := range kinds {
		if kinds[i].kind == k {
			return &kinds[i]
		}
	}
	return &kindRow{}
}

// Kinds lists every kind.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range kinds {
		all[i] = kinds[i].kind
	}
	return all
}

// Known reports whether the kind is one of ours.
func (k Kind) Known() bool { return k.row().kind != "" }

// Askers are the roles that may ask for operations of the kind.
func (k Kind) Askers() []Role { return slices.Clone(k.row().asks) }

// Opens reports whether operations of the kind make the wallet where there is none.
func (k Kind) Opens() bool { return k.row().opens }

// Queued reports whether operations of the kind travel through Kafka. The
// others are direct: they must not wait behind the charges they are to stop.
func (k Kind) Queued() bool { return k.row().queued }

// Mandate is the one that the request uses, gives back to or changes, if it can.
func (r Request) Mandate() (WalletMerchant, bool) {
	kind := r.Kind.row()
	return WalletMerchant{r.Wallet, r.Merchant}, kind.uses || kind.mandate != 0 || slices.Contains(kind.refers, KindHold)
}

// MovesMoney reports whether accepted operations of the kind move their amount.
func (k Kind) MovesMoney() bool { return k.row().moves != 0 }

// Reasons are why an operation of the kind may fail, in order of precedence.
func (k Kind) Reasons() []Reason {
	return append(slices.Clone(k.row().reasons), ReasonProcessingError)
}
