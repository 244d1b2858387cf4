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
	ReasonMandateRequired     Reason = "mandate_required"
	ReasonChargeNotFound      Reason = "charge_not_found"
	ReasonHoldNotFound        Reason = "hold_not_found"
	ReasonChargeNotAccepted   Reason = "charge_not_accepted"
	ReasonHoldNotAccepted     Reason = "hold_not_accepted"
	ReasonWalletNotFound      Reason = "wallet_not_found"
	ReasonSelfCharge          Reason = "self_charge_not_allowed"
	ReasonWalletClosed        Reason = "wallet_closed"
	ReasonWalletFrozen        Reason = "wallet_frozen"
	ReasonCurrencyMismatch    Reason = "currency_mismatch"
	ReasonMandateNotFound     Reason = "mandate_not_found"
	ReasonWalletNotMandated   Reason = "wallet_not_mandated"
	ReasonTooManyMandates     Reason = "too_many_mandates"
	ReasonMandateExpired      Reason = "mandate_expired"
	ReasonMandateLimit        Reason = "mandate_limit_exceeded"
	ReasonHoldClosed          Reason = "hold_closed"
	ReasonHoldExpired         Reason = "hold_expired"
	ReasonExceedsHold         Reason = "exceeds_hold"
	ReasonRefundExceedsCharge Reason = "refund_exceeds_charge"
	ReasonTooManyHolds        Reason = "too_many_holds"
	ReasonTooManyCaptures     Reason = "too_many_captures"
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
		ReasonExpired, ReasonMerchantNotFound, ReasonMerchantSuspended, ReasonMandateRequired, ReasonChargeNotFound, ReasonHoldNotFound,
		ReasonChargeNotAccepted, ReasonHoldNotAccepted, ReasonWalletNotFound, ReasonSelfCharge, ReasonWalletClosed, ReasonWalletFrozen,
		ReasonCurrencyMismatch, ReasonMandateNotFound, ReasonWalletNotMandated, ReasonTooManyMandates, ReasonMandateExpired, ReasonMandateLimit,
		ReasonHoldClosed, ReasonHoldExpired, ReasonExceedsHold, ReasonRefundExceedsCharge, ReasonTooManyHolds, ReasonTooManyCaptures,
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
	case ReasonMandateRequired:
		return "The wallet's owner has not allowed the merchant to charge it, or there is no wallet with this ID.", AdviceDoNotRetry
	case ReasonMandateNotFound:
		return "The merchant has no mandate of this wallet.", AdviceFixRequest
	case ReasonWalletNotMandated:
		return "Anyone may charge the wallet: a mandate would limit nothing.", AdviceFixRequest
	case ReasonTooManyMandates:
		return "The wallet has given mandates to too many merchants.", AdviceDoNotRetry
	case ReasonMandateExpired:
		return "The merchant's mandate has expired.", AdviceDoNotRetry
	case ReasonMandateLimit:
		return "The merchant's mandate does not allow that much, or not that much more.", AdviceRetryWithNewKey
	case ReasonChargeNotFound:
		return "The merchant has no charge with this ID on this wallet.", AdviceFixRequest
	case ReasonChargeNotAccepted:
		return "The charge was not accepted: there is nothing to give back.", AdviceDoNotRetry
	case ReasonRefundExceedsCharge:
		return "The refunds of a charge cannot come to more than it took.", AdviceFixRequest
	case ReasonHoldNotFound:
		return "The merchant has no hold with this ID on this wallet.", AdviceFixRequest
	case ReasonHoldNotAccepted:
		return "The hold was not accepted: nothing is held.", AdviceDoNotRetry
	case ReasonHoldClosed:
		return "The hold has ended: all of it was captured or released.", AdviceDoNotRetry
	case ReasonHoldExpired:
		return "The hold has expired: what was held is available again.", AdviceDoNotRetry
	case ReasonExceedsHold:
		return "The hold does not hold that much any more.", AdviceFixRequest
	case ReasonTooManyHolds:
		return "The wallet has too many open holds.", AdviceRetryWithNewKey
	case ReasonTooManyCaptures:
		return "The hold was captured and released in too many parts: only what ends it is accepted.", AdviceFixRequest
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
		return "The wallet still has money, owes some, or has open holds.", AdviceRetryWithNewKey
	case ReasonInsufficientFunds:
		return "The wallet does not have enough available money.", AdviceRetryAfterTopUp
	case ReasonLimitInUse:
		return "The wallet owes or holds more than the credit limit would allow.", AdviceRetryAfterTopUp
	case ReasonAmountOverflow:
		return "The wallet cannot hold that much money.", AdviceFixRequest
	case ReasonProcessingError:
		return "The operation could not be processed as it was written.", AdviceRetryWithNewKey
	}
	return "", ""
}
