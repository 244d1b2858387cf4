package ledger

// Reason says why an operation failed. Reasons are stored and shown to
// clients: add new ones, never rename or reuse one. Of several that hold, the
// first in this list is reported. The zero value means: accepted.
type Reason string

// The reasons, in order of precedence.
const (
	ReasonExpired             Reason = "expired"
	ReasonMerchantNotFound    Reason = "merchant_not_found"
	ReasonMerchantSuspended   Reason = "merchant_suspended"
	ReasonChargeNotFound      Reason = "charge_not_found"
	ReasonWalletNotFound      Reason = "wallet_not_found"
	ReasonSelfCharge          Reason = "self_charge_not_allowed"
	ReasonWalletClosed        Reason = "wallet_closed"
	ReasonWalletFrozen        Reason = "wallet_frozen"
	ReasonCurrencyMismatch    Reason = "currency_mismatch"
	ReasonChargeNotAccepted   Reason = "charge_not_accepted"
	ReasonRefundExceedsCharge Reason = "refund_exceeds_charge"
	ReasonDuplicateInvoice    Reason = "duplicate_invoice"
	ReasonWalletNotEmpty      Reason = "wallet_not_empty"
	ReasonInsufficientFunds   Reason = "insufficient_funds"
	ReasonLimitInUse          Reason = "credit_limit_in_use"
	ReasonAmountOverflow      Reason = "amount_overflow"
	ReasonProcessingError     Reason = "processing_error"
)

// Reasons lists every reason in order of precedence.
func Reasons() []Reason {
	return []Reason{
		ReasonExpired, ReasonMerchantNotFound, ReasonMerchantSuspended, ReasonChargeNotFound, ReasonWalletNotFound, ReasonSelfCharge,
		ReasonWalletClosed, ReasonWalletFrozen, ReasonCurrencyMismatch, ReasonChargeNotAccepted, ReasonRefundExceedsCharge,
		ReasonDuplicateInvoice, ReasonWalletNotEmpty,
		ReasonInsufficientFunds, ReasonLimitInUse, ReasonAmountOverflow, ReasonProcessingError,
	}
}

// Advice tells a machine what to do about a failed operation.
type Advice string

// The advices.
const (
	AdviceDoNotRetry      Advice = "do_not_retry"
	AdviceRetryWithNewKey Advice = "retry_with_new_key"
	AdviceRetryAfterTopUp Advice = "retry_after_top_up"
	AdviceFixRequest      Advice = "fix_request"
)

// Comment is the reason as a sentence for people.
func (r Reason) Comment() string {
	comment, _ := r.explain()
	return comment
}

// Advice is what to do about the failure.
func (r Reason) Advice() Advice {
	_, advice := r.explain()
	return advice
}

func (r Reason) explain() (string, Advice) {
	switch r {
	case ReasonExpired:
		return "The operation was not decided before the time it was to be applied by.", AdviceRetryWithNewKey
	case ReasonWalletNotFound:
		return "There is no wallet with this ID.", AdviceFixRequest
	case ReasonMerchantNotFound:
		return "There is no merchant with this ID.", AdviceFixRequest
	case ReasonMerchantSuspended:
		return "The merchant is suspended and may not charge.", AdviceDoNotRetry
	case ReasonChargeNotFound:
		return "The merchant has no charge with this ID on this wallet.", AdviceFixRequest
	case ReasonChargeNotAccepted:
		return "The charge was not accepted: there is nothing to give back.", AdviceDoNotRetry
	case ReasonRefundExceedsCharge:
		return "The refunds of a charge cannot come to more than it took.", AdviceFixRequest
	case ReasonSelfCharge:
		return "A merchant may not charge a wallet of its own owner.", AdviceDoNotRetry
	case ReasonWalletClosed:
		return "The wallet is closed.", AdviceDoNotRetry
	case ReasonWalletFrozen:
		return "The wallet is frozen.", AdviceRetryWithNewKey
	case ReasonCurrencyMismatch:
		return "The currency is not the wallet's currency.", AdviceFixRequest
	case ReasonDuplicateInvoice:
		return "The invoice was already charged to this wallet by this merchant.", AdviceDoNotRetry
	case ReasonWalletNotEmpty:
		return "The wallet still holds money or owes some.", AdviceRetryWithNewKey
	case ReasonInsufficientFunds:
		return "The wallet does not hold enough money.", AdviceRetryAfterTopUp
	case ReasonLimitInUse:
		return "The wallet owes more than the credit limit would allow.", AdviceRetryAfterTopUp
	case ReasonAmountOverflow:
		return "The wallet cannot hold that much money.", AdviceFixRequest
	case ReasonProcessingError:
		return "The operation could not be processed as it was written.", AdviceRetryWithNewKey
	}
	return "", ""
}
