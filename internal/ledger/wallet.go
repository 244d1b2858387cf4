package ledger

// WalletStatus says what may be done with a wallet.
type WalletStatus string

// The statuses of a wallet.
const (
	WalletActive WalletStatus = "active"
	WalletFrozen WalletStatus = "frozen"
	WalletClosed WalletStatus = "closed"
)

// Charges says who may charge a wallet and hold its money.
type Charges string

// ChargesMandated are those of merchants that have a mandate, see [Mandate]. The zero value are anyone's.
const ChargesMandated Charges = "mandated"

// Wallet is prepaid money of one client in one currency, as its last operation
// left it.
type Wallet struct {
	ID          WalletID
	Client      ClientID
	Currency    Currency
	Status      WalletStatus
	Charges     Charges // as it was opened, for ever
	Balance     int64   // minor units; never below -CreditLimit nor above MaxAmount
	CreditLimit int64   // minor units
	Held        int64   // minor units: of the balance and the credit limit, what open holds keep from being charged
	Holds       int64   // how many of its holds are open
	Sequence    int64   // of the last operation
	Digest      Digest
}

// After is the wallet as the operation, one of its history, left it. How many holds are open stays: no operation says it.
func (w Wallet) After(o Operation) Wallet {
	w.Status, w.Balance, w.Held, w.CreditLimit = o.StatusAfter, o.BalanceAfter, o.HeldAfter, o.LimitAfter
	w.Sequence, w.Digest = o.Sequence, o.Digest
	return w
}

// Available is what may be charged or held, in minor units.
func (w Wallet) Available() int64 { return w.Balance + w.CreditLimit - w.Held }

// AccountID names what accepted money moves to or from besides wallets: a
// merchant's settlement balance, or the funding account.
type AccountID [16]byte

// FundingAccount is where top-ups come from and withdrawals go to: its balance is minus
// all money that is in, so that the sum over all accounts is zero.
func FundingAccount() AccountID { return AccountID{} }

// Account is the merchant's settlement account.
func (id MerchantID) Account() AccountID { return AccountID(id) }

// Movement is a change of an account's balance in minor units.
type Movement struct {
	Account  AccountID
	Currency Currency
	Amount   int64
}
