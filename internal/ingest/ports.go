package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

// The errors of the interfaces below that have a meaning of their own. Every
// other error is trouble of the machinery: 503.
var (
	// ErrNotTaken: the queue does not take the request now, and holds nothing of it.
	ErrNotTaken = errors.New("the request was not taken")
	// ErrBusy: too many other reads are waiting; this one was not made.
	ErrBusy = errors.New("too many reads come before this one")
	// ErrTooWide: there are more partitions than one list is merged from.
	ErrTooWide = errors.New("too many partitions for a list of everything: say what it is to be about, or ask for changes alone")
	// ErrQueueFull is an ErrNotTaken: too much waits for the wallet's partition already.
	ErrQueueFull = fmt.Errorf("%w: too much waits already", ErrNotTaken)
	// ErrWrongQueue: the queue that answers is not the one that the database knows.
	// What is put there would be lost.
	ErrWrongQueue = errors.New("not the queue that the database knows")
)

// Receipt says where a request became durable.
type Receipt struct {
	Partition int
	Offset    int64
}

// Durable waits until a request is durable.
type Durable func() (Receipt, error)

// Queue is Kafka as ingest sees it.
type Queue interface {
	// Submit hands the request over, and does not wait until it is durable in its wallet's
	// partition: Durable does. Requests of one wallet are written in the order in which they were
	// handed over. An error, of either, means unknown: the request may or may not be there, and may
	// be submitted again. Only ErrNotTaken says that it is not there. Durable
	// returns within 4 s of Submit, so that a 503 comes within 5 s.
	Submit(ctx context.Context, r ledger.Request) (Durable, error)
	// End is the offset that the partition's next record will have. It may be a second
	// old, but not where it would not lie beyond the offset.
	End(ctx context.Context, partition int, offset int64) (int64, error)
	// Check fails while Kafka does not answer, or would take no request. It fails with
	// ErrWrongQueue if the cluster, or the number of partitions, is not the one that the
	// database knows.
	Check(ctx context.Context) error
}

// History reads operations. Its lists fail with ErrBusy.
type History interface {
	outcomes.History
	// List is one page of at most f.Limit operations, which may be fewer though more
	// follow, even none: it is bounded in bytes, too, and in how much it reads to find them.
	List(ctx context.Context, f Filter) (Page, error)
}

// Page is a part of a list.
type Page struct {
	Operations []outcomes.Decided
	Next       *Cursor // behind which the next page begins; nil: this is the last one
}

// Filter selects operations: those of which everything holds that it says. It says at least one of
// Wallet, Merchant, Client and IDs.
type Filter struct {
	Wallet   ledger.WalletID
	Merchant ledger.MerchantID
	Client   ledger.ClientID      // whose wallets; without a wallet
	IDs      []ledger.OperationID // nil: any

	Invoice  string
	Kind     ledger.Kind
	Status   ledger.Status
	Reason   ledger.Reason
	From, To time.Time // between which it was decided: from the one on, and before the other

	// ByMerchant lists what the merchant asked of the wallet without a look at anything else of that, as if it were not there.
	ByMerchant bool

	Limit int
	After *Cursor // nil: the first page
}

// AuditFilter selects what was done.
type AuditFilter struct {
	About       string // the one thing that it was done to; empty: whatever it was
	ChangesOnly bool   // no operations
	Limit       int
	After       *Cursor // nil: the first page
}

// AuditPage is a part of a list of what was done. It may be shorter than was asked for,
// though more follows: it is bounded in bytes, too.
type AuditPage struct {
	Entries []AuditEntry
	Next    *Cursor // behind which the next page begins; nil: this is the last one
}

// AuditEntry is something that was done: an operation or a change.
type AuditEntry struct {
	Operation *outcomes.Decided // nil: it was a change
	Change    *ledger.Change    // nil: it was an operation
}

// Cursor is where a page ended: the last operation that it went through. A list
// of a wallet goes by sequence, newest first and those without one before all
// others; one of a client wallet by wallet, as these were opened, and within each like that of a wallet;
// one of an invoice wallet by wallet, newest first within each, by position; one of a merchant by time of decision,
// newest first, as does one of IDs. A list of a client's wallets goes by when they were opened, oldest first;
// one of anything else by when it was made, newest first.
type Cursor struct {
	Sequence  int64     // 0: it has none
	DecidedAt time.Time // of another list: when the thing was made; of a client's operations, when the wallet was
	Wallet    ledger.WalletID
	ID        ledger.OperationID // of another list: the thing's ID, whatever it is
	// Bounds are, of a list of operations, the position at which the page ended; of everything that was done, of each partition the position that the page went down to; of a
	// statement, the sequences behind which it begins, and with which it ends.
	Bounds []int64
}

// Accounts reads balances. It fails with ErrBusy.
type Accounts interface {
	// KnownWallets finds those of the list whose wallet is there to the merchant, in no order, in one query: that anyone
	// may charge, or that ever gave it a mandate. With no merchant it is every wallet that exists.
	KnownWallets(ctx context.Context, list []ledger.WalletMerchant) ([]ledger.WalletMerchant, error)
	// Mandates are those that the wallet ever gave, by merchant; with a merchant, the one that it gave that. There are none
	// where there is no such wallet.
	Mandates(ctx context.Context, wallet ledger.WalletID, merchant ledger.MerchantID) ([]NamedMandate, error)
	// Wallet fails with ledger.ErrNotFound.
	Wallet(ctx context.Context, id ledger.WalletID) (ledger.Wallet, error)
	// WalletBefore is the wallet as it was right before the time. It fails with ledger.ErrNotFound if it was not
	// opened then.
	WalletBefore(ctx context.Context, w ledger.Wallet, before time.Time) (ledger.Wallet, error)
	// Statement is a page of a wallet's statement, of at most f.Limit lines, which may be fewer though more follow, even none.
	Statement(ctx context.Context, f StatementFilter) (Statement, error)
	// Settlement sums the next part of what the merchant's account got and gave back in the period, in the order of time,
	// and says where the part behind it begins (nil: this is the last one). Its parts of one day add up.
	Settlement(ctx context.Context, id ledger.MerchantID, from, to time.Time, after *Cursor) ([]SettledDay, *Cursor, error)
	// ClientWallets is a page of at most limit wallets of the client, oldest first,
	// and where the next page begins (nil: this is the last one). It fails with
	// ledger.ErrNotFound if there is no such client.
	ClientWallets(ctx context.Context, id ledger.ClientID, limit int, after *Cursor) ([]ledger.Wallet, *Cursor, error)
	// Wallets is a page of at most limit of all wallets, newest first.
	Wallets(ctx context.Context, limit int, after *Cursor) ([]ledger.Wallet, *Cursor, error)
	// Merchant fails with ledger.ErrNotFound.
	Merchant(ctx context.Context, id ledger.MerchantID) (ledger.Merchant, error)
	// Balances are the merchant's settlement balances, one for each currency.
	Balances(ctx context.Context, id ledger.MerchantID) ([]Balance, error)
}

// StatementFilter selects a wallet's statement.
type StatementFilter struct {
	Wallet   ledger.WalletID
	From, To time.Time // zero: from its first operation; up to the last one that there is
	Limit    int
	After    *Cursor // nil: the first page
}

// Statement is a page of what moved a wallet's balance in a period. Its lines are operations, in the order of the wallet's history.
// Opening and all movements add up to Closing, and those of the page from PageOpening to PageClosing: each
// page opens with what the one before it closed with.
type Statement struct {
	Opening, Closing         int64 // minor units
	PageOpening, PageClosing int64 // minor units
	Lines                    []outcomes.Decided
	Final                    bool // nothing more can be decided within the period
	Next                     *Cursor
}

// SettledDay is what a merchant's account got and gave back on a day (UTC) in one currency. Amounts are
// exact, in minor units, as decimal digits.
type SettledDay struct {
	Day                    string // as in 2026-01-02
	Currency               ledger.Currency
	Charged, Refunded, Net string
	Charges, Refunds       int64
}

// Balance is a settlement balance: exact, in minor units, as decimal digits,
// since the sum over all wallets may pass int64.
type Balance struct {
	Currency ledger.Currency
	Amount   string
}

// Registry keeps clients, merchants and API keys. Each Create inserts, or finds
// the row of the same ID: then it returns what is stored and made == false, or
// ledger.ErrReused if that says something else. It fails with ledger.ErrNotFound if the
// client or merchant that it names does not exist. What changes something writes down
// who did so, in the same transaction; what finds it done already changes nothing.
type Registry interface {
	access.Registry
	CreateClient(ctx context.Context, c ledger.Client, by ledger.Author) (stored ledger.Client, made bool, err error)
	CreateMerchant(ctx context.Context, m ledger.Merchant, by ledger.Author) (stored ledger.Merchant, made bool, err error)
	// Client fails with ledger.ErrNotFound.
	Client(ctx context.Context, id ledger.ClientID) (ledger.Client, error)
	// Clients, Merchants and Keys are pages of at most limit, newest first, behind the cursor
	// (nil: the first page), and where the next page begins (nil: this is the last one).
	// They fail with ErrBusy.
	Clients(ctx context.Context, limit int, after *Cursor) ([]ledger.Client, *Cursor, error)
	Merchants(ctx context.Context, limit int, after *Cursor) ([]ledger.Merchant, *Cursor, error)
	// Keys are those of one merchant or client, or all; with the operator's own, of the zero Party.
	Keys(ctx context.Context, owner ledger.Party, limit int, after *Cursor) ([]ledger.Key, *Cursor, error)
	// Audit is a page of what was done, newest first; of a wallet in the order of its operations.
	// It fails with ErrBusy, and with ErrTooWide.
	Audit(ctx context.Context, f AuditFilter) (AuditPage, error)
	// Suspend lets the merchant's charges fail, or, without suspended, no more. It fails with ledger.ErrNotFound.
	Suspend(ctx context.Context, id ledger.MerchantID, suspended bool, by ledger.Author) (ledger.Merchant, error)
}

// Direct decides operations that must not wait in the queue: open, freeze,
// unfreeze, close, set_limit, grant, revoke. No read is before them.
type Direct interface {
	// Apply decides r and records its outcome in one transaction, or finds the
	// operation of the same ID: then it returns that one and made == false, or
	// ledger.ErrReused if that is another request. It fails with ledger.ErrNotFound if the
	// wallet (of an open: the client) does not exist, or is not there to who asks; nothing is recorded then.
	Apply(ctx context.Context, r ledger.Request) (op ledger.Operation, made bool, err error)
}

// DryRuns says what requests would come to.
type DryRuns interface {
	// DryRun decides r on what is decided by now. It records nothing, and neither waits for a lock nor holds one. What is
	// queued and not yet decided it does not know of. If r's ID has an outcome it is that, or ledger.ErrReused if it
	// is that of another request. It fails with ErrBusy.
	DryRun(ctx context.Context, r ledger.Request) (DryRun, error)
}

// DryRun is what a request would come to, or what it came to.
type DryRun struct {
	ledger.Operation                   // of what has no outcome: without position and digest that would hold
	Decided          *outcomes.Decided // the outcome that the request has; nil: none
}
