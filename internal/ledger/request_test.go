package ledger_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// secretText stands for what a caller sent: no fault may repeat it.
const secretText = "sesame"

func validCharge() ledger.Request {
	return ledger.Request{
		ID: ledger.OperationID{1}, Kind: ledger.KindCharge, Wallet: ledger.WalletID{1}, Merchant: ledger.MerchantID{1},
		Asker:  ledger.Asker{Party: ledger.AsMerchant(ledger.MerchantID{1}), Key: ledger.KeyID{1}},
		Amount: 1250, Currency: "EUR", Invoice: "INV-1001", Description: "Coffee, two cups", IdempotencyKey: "k-1",
		Metadata:    ledger.NewMetadata(map[string]string{"color": "red"}),
		ApplyBefore: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), ReceivedAt: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC),
	}
}

// validRequests is one request of each kind that may be decided.
func validRequests() map[ledger.Kind]ledger.Request {
	id, w, operator := ledger.OperationID{1}, ledger.WalletID{1}, ledger.Asker{Party: ledger.AsOperator(), Key: ledger.KeyID{2}}
	return map[ledger.Kind]ledger.Request{
		ledger.KindOpen:   {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindOpen, Client: ledger.ClientID{1}, Currency: "EUR"},
		ledger.KindTopUp:  {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindTopUp, Amount: 1, Currency: "EUR", IdempotencyKey: "k"},
		ledger.KindCharge: validCharge(),
		ledger.KindRefund: {
			ID: id, Wallet: w, Asker: validCharge().Asker, Kind: ledger.KindRefund, Merchant: ledger.MerchantID{1}, Refers: operationOf(w, 9),
			Amount: 1, Currency: "EUR", IdempotencyKey: "k",
		},
		ledger.KindHold: {
			ID: id, Wallet: w, Asker: validCharge().Asker, Kind: ledger.KindHold, Merchant: ledger.MerchantID{1}, Amount: 1, Currency: "EUR",
			Invoice: "INV-1001", ExpiresIn: ledger.DefaultExpiresIn, IdempotencyKey: "k",
		},
		ledger.KindCapture: {
			ID: id, Wallet: w, Asker: validCharge().Asker, Kind: ledger.KindCapture, Merchant: ledger.MerchantID{1}, Refers: operationOf(w, 9),
			Amount: 1, Currency: "EUR", Rest: ledger.RestKept, IdempotencyKey: "k",
		},
		ledger.KindRelease: {
			ID: id, Wallet: w, Asker: validCharge().Asker, Kind: ledger.KindRelease, Merchant: ledger.MerchantID{1}, Refers: operationOf(w, 9),
			Amount: 1, Currency: "EUR", IdempotencyKey: "k",
		},
		ledger.KindExpire: {
			ID: id, Wallet: w, Asker: ledger.Asker{Party: ledger.AsSystem()}, Kind: ledger.KindExpire, Merchant: ledger.MerchantID{1},
			Refers: operationOf(w, 9), IdempotencyKey: operationOf(w, 9).String(),
		},
		ledger.KindWithdraw: {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindWithdraw, Amount: 1, Currency: "EUR", IdempotencyKey: "k"},
		ledger.KindFreeze:   {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindFreeze},
		ledger.KindUnfreeze: {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindUnfreeze},
		ledger.KindClose:    {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindClose, IdempotencyKey: "k"},
		ledger.KindSetLimit: {ID: id, Wallet: w, Asker: operator, Kind: ledger.KindSetLimit, Currency: "EUR"},
		ledger.KindGrant: {
			ID: id, Wallet: w, Asker: ledger.Asker{Party: ledger.AsClient(ledger.ClientID{1}), Key: ledger.KeyID{3}}, Kind: ledger.KindGrant,
			Merchant: ledger.MerchantID{1}, Currency: "EUR",
			Terms: ledger.Terms{MaxAmount: 1, PerDay: 2, PerMonth: 3, Total: 4, ValidUntil: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)},
		},
		ledger.KindRevoke: {
			ID: id, Wallet: w, Asker: ledger.Asker{Party: ledger.AsClient(ledger.ClientID{1}), Key: ledger.KeyID{3}}, Kind: ledger.KindRevoke,
			Merchant: ledger.MerchantID{1},
		},
	}
}

// operationOf is an ID of an operation of the wallet.
func operationOf(w ledger.WalletID, n byte) ledger.OperationID {
	id := ledger.OperationID{15: n}
	binary.BigEndian.PutUint16(id[:2], w.Bucket())
	return id
}

func TestFaultsNoneInValidRequests(t *testing.T) {
	t.Parallel()
	valid := validRequests()
	for _, kind := range ledger.Kinds() {
		r, ok := valid[kind]
		if !ok {
			t.Errorf("no valid %s to test", kind)
		}
		if f := r.Faults(); f != nil {
			t.Errorf("%s: %v", kind, f)
		}
	}
	byInvoice := validCharge()
	byInvoice.IdempotencyKey = ""
	if f := byInvoice.Faults(); f != nil {
		t.Errorf("a charge under its invoice alone: %v", f)
	}
	byKey := validCharge()
	byKey.Invoice = ""
	if f := byKey.Faults(); f != nil {
		t.Errorf("a charge under its key alone: %v", f)
	}
}

// One row per fault. Each starts from a request without one.
func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		charge   = ledger.KindCharge
		topUp    = ledger.KindTopUp
		open     = ledger.KindOpen
		freeze   = ledger.KindFreeze
		refund   = ledger.KindRefund
		hold     = ledger.KindHold
		capture  = ledger.KindCapture
		release  = ledger.KindRelease
		expire   = ledger.KindExpire
		grant    = ledger.KindGrant
		revoke   = ledger.KindRevoke
		notAsked = "may not ask for this kind of operation"
		notIts   = "is not of this wallet"
		seconds  = "must be from 60 to 2592000 seconds"
		noRest   = "must be kept, or left out"
		tooLong  = "must not be longer than %d characters"
		control  = "must not contain control characters"
		notUTF8  = "must be UTF-8"
		noAmount = "must be from 1 to 9007199254740991 minor units"
		years    = "must lie in the years 1970 to 9999"
		flat     = "must be a flat object of strings in canonical form"
		foreign  = "does not belong to this kind of operation"
		blank    = "must not begin or end with a blank"
		unseen   = "must not contain invisible characters, nor blanks other than U+0020"
	)
	for _, row := range []struct {
		kind    ledger.Kind
		fault   func(*ledger.Request)
		field   string
		message string
	}{
		{freeze, func(r *ledger.Request) { r.Kind = "" }, "kind", "is not a kind of operation"},
		{freeze, func(r *ledger.Request) { r.Kind = "Freeze" }, "kind", "is not a kind of operation"},
		{charge, func(r *ledger.Request) { r.Wallet = ledger.WalletID{} }, "wallet_id", "is required"},
		{charge, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{} }, "merchant_id", "is required"},
		{topUp, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{1} }, "merchant_id", foreign},
		{ledger.KindSetLimit, func(r *ledger.Request) { r.Amount = -1 }, "credit_limit", "must be from 0 to 9007199254740991 minor units"},
		{charge, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{2} }, "merchant_id", "must be the merchant that asks"},
		{charge, func(r *ledger.Request) { r.Asker = ledger.Asker{} }, "asked_by", "is required"},
		{charge, func(r *ledger.Request) { r.Asker.Party = ledger.AsOperator() }, "asked_by", "may not ask for this kind of operation"},
		{topUp, func(r *ledger.Request) { r.Asker.Party = ledger.AsMerchant(ledger.MerchantID{1}) }, "asked_by", "may not ask for this kind of operation"},
		{topUp, func(r *ledger.Request) { r.Asker.Owner = [16]byte{1} }, "asked_by", "must name the owner of a merchant's or a client's key, and no other"},
		{charge, func(r *ledger.Request) { r.Asker.Owner = [16]byte{} }, "asked_by", "must name the owner of a merchant's or a client's key, and no other"},
		{open, func(r *ledger.Request) { r.Client = ledger.ClientID{} }, "client_id", "is required"},
		{charge, func(r *ledger.Request) { r.Client = ledger.ClientID{1} }, "client_id", foreign},
		{charge, func(r *ledger.Request) { r.Amount = 0 }, "amount", noAmount},
		{charge, func(r *ledger.Request) { r.Amount = -1 }, "amount", noAmount},
		{charge, func(r *ledger.Request) { r.Amount = math.MinInt64 }, "amount", noAmount},
		{topUp, func(r *ledger.Request) { r.Amount = ledger.MaxAmount + 1 }, "amount", noAmount},
		{freeze, func(r *ledger.Request) { r.Amount = 1 }, "amount", foreign},
		{charge, func(r *ledger.Request) { r.Currency = "" }, "currency", "must be an ISO 4217 code in capitals"},
		{open, func(r *ledger.Request) { r.Currency = "eur" }, "currency", "must be an ISO 4217 code in capitals"},
		{freeze, func(r *ledger.Request) { r.Currency = "EUR" }, "currency", foreign},
		{topUp, func(r *ledger.Request) { r.Invoice = "INV-1" }, "invoice", foreign},
		{charge, func(r *ledger.Request) { r.Invoice = strings.Repeat("x", 129) }, "invoice", fmt.Sprintf(tooLong, 128)},
		{charge, func(r *ledger.Request) { r.Invoice = secretText + "\x00" }, "invoice", control},
		{charge, func(r *ledger.Request) { r.Invoice = secretText + "\xff" }, "invoice", notUTF8},
		{topUp, func(r *ledger.Request) { r.Reference = strings.Repeat("é", 141) }, "reference", fmt.Sprintf(tooLong, 140)},
		{topUp, func(r *ledger.Request) { r.Reference = secretText + "\n" }, "reference", control},
		{topUp, func(r *ledger.Request) { r.Reference = secretText + "\xff" }, "reference", notUTF8},
		{topUp, func(r *ledger.Request) { r.Reference = " " + secretText }, "reference", blank},
		{topUp, func(r *ledger.Request) { r.Reference = "a\u200bb" }, "reference", unseen},
		{charge, func(r *ledger.Request) { r.Description = strings.Repeat("é", 501) }, "description", fmt.Sprintf(tooLong, 500)},
		{charge, func(r *ledger.Request) { r.Description = secretText + "\n" }, "description", control},
		{charge, func(r *ledger.Request) { r.Description = secretText + "\x7f" }, "description", control},
		{charge, func(r *ledger.Request) { r.Description = secretText + "\u0085" }, "description", control},
		{charge, func(r *ledger.Request) { r.Description = secretText + "\xed\xa0\x80" }, "description", notUTF8},
		{charge, func(r *ledger.Request) { r.Metadata = `{"color": "sesame"}` }, "metadata", flat},
		{charge, func(r *ledger.Request) { r.Metadata = entries(21) }, "metadata", "must not have more than 20 entries"},
		{charge, func(r *ledger.Request) { r.Metadata = entry("", "red") }, "metadata", "must not have an empty key"},
		{charge, func(r *ledger.Request) { r.Metadata = entry(strings.Repeat("k", 41), "red") }, "metadata", fmt.Sprintf(tooLong, 40)},
		{charge, func(r *ledger.Request) { r.Metadata = entry(secretText+"\t", "red") }, "metadata", control},
		{charge, func(r *ledger.Request) { r.Metadata = entry("color", strings.Repeat("v", 501)) }, "metadata.color", fmt.Sprintf(tooLong, 500)},
		{charge, func(r *ledger.Request) { r.Metadata = entry("color", secretText+"\u009f") }, "metadata.color", control},
		{charge, func(r *ledger.Request) { r.Note = "n" }, "note", foreign},
		{topUp, func(r *ledger.Request) { r.Note = strings.Repeat("n", 501) }, "note", fmt.Sprintf(tooLong, 500)},
		{freeze, func(r *ledger.Request) { r.Note = secretText + "\n" }, "note", control},
		{freeze, func(r *ledger.Request) { r.Note = secretText + "\xff" }, "note", notUTF8},
		{charge, func(r *ledger.Request) { r.Refers = operationOf(r.Wallet, 9) }, "refers_to", foreign},
		{hold, func(r *ledger.Request) { r.Refers = operationOf(r.Wallet, 9) }, "refers_to", foreign},
		{refund, func(r *ledger.Request) { r.Refers = ledger.OperationID{} }, "charge", "is required"},
		{capture, func(r *ledger.Request) { r.Refers = ledger.OperationID{} }, "hold", "is required"},
		{release, func(r *ledger.Request) { r.Refers = ledger.OperationID{} }, "hold", "is required"},
		{expire, func(r *ledger.Request) { r.Refers = ledger.OperationID{} }, "hold", "is required"},
		{refund, func(r *ledger.Request) { r.Refers = operationOf(ledger.WalletID{2}, 9) }, "charge", notIts},
		{capture, func(r *ledger.Request) { r.Refers = operationOf(ledger.WalletID{2}, 9) }, "hold", notIts},
		{expire, func(r *ledger.Request) { r.Refers = operationOf(ledger.WalletID{2}, 9) }, "hold", notIts},
		{hold, func(r *ledger.Request) { r.Asker.Party = ledger.AsOperator() }, "asked_by", notAsked},
		{hold, func(r *ledger.Request) { r.Asker.Party = ledger.AsSystem() }, "asked_by", notAsked},
		{capture, func(r *ledger.Request) { r.Asker.Party = ledger.AsSystem() }, "asked_by", notAsked},
		{release, func(r *ledger.Request) { r.Asker.Party = ledger.AsClient(ledger.ClientID{1}) }, "asked_by", notAsked},
		{expire, func(r *ledger.Request) { r.Asker.Party = ledger.AsMerchant(r.Merchant) }, "asked_by", notAsked},
		{expire, func(r *ledger.Request) { r.Asker.Party = ledger.AsOperator() }, "asked_by", notAsked},
		{expire, func(r *ledger.Request) { r.Asker.Owner = [16]byte{1} }, "asked_by", "must name the owner of a merchant's or a client's key, and no other"},
		{capture, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{2} }, "merchant_id", "must be the merchant that asks"},
		{expire, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{} }, "merchant_id", "is required"},
		{hold, func(r *ledger.Request) { r.Amount = 0 }, "amount", noAmount},
		{hold, func(r *ledger.Request) { r.Amount = -1 }, "amount", noAmount},
		{capture, func(r *ledger.Request) { r.Amount = -1 }, "amount", noAmount},
		{capture, func(r *ledger.Request) { r.Amount = 0 }, "amount", "is required beside a currency"}, // as it names a currency
		{capture, func(r *ledger.Request) { r.Currency = "" }, "currency", "is required beside an amount"},
		{release, func(r *ledger.Request) { r.Amount = ledger.MaxAmount + 1 }, "amount", noAmount},
		{release, func(r *ledger.Request) { r.Currency = "" }, "currency", "is required beside an amount"},
		{expire, func(r *ledger.Request) { r.Amount = 1 }, "amount", foreign},
		{expire, func(r *ledger.Request) { r.Currency = "EUR" }, "currency", foreign},
		{capture, func(r *ledger.Request) { r.Invoice = "INV-1" }, "invoice", foreign},
		{release, func(r *ledger.Request) { r.Invoice = "INV-1" }, "invoice", foreign},
		{expire, func(r *ledger.Request) { r.Invoice = "INV-1" }, "invoice", foreign},
		{hold, func(r *ledger.Request) { r.Note = "n" }, "note", foreign},
		{hold, func(r *ledger.Request) { r.ExpiresIn = 0 }, "expires_in", "is required"},
		{hold, func(r *ledger.Request) { r.ExpiresIn = 59 }, "expires_in", seconds},
		{hold, func(r *ledger.Request) { r.ExpiresIn = 2_592_001 }, "expires_in", seconds},
		{hold, func(r *ledger.Request) { r.ExpiresIn = -60 }, "expires_in", seconds},
		{charge, func(r *ledger.Request) { r.ExpiresIn = 60 }, "expires_in", foreign},
		{capture, func(r *ledger.Request) { r.ExpiresIn = 60 }, "expires_in", foreign},
		{capture, func(r *ledger.Request) { r.Rest = "Kept" }, "rest", noRest},
		{capture, func(r *ledger.Request) { r.Rest = secretText }, "rest", noRest},
		{release, func(r *ledger.Request) { r.Rest = ledger.RestKept }, "rest", foreign},
		{hold, func(r *ledger.Request) { r.Rest = ledger.RestKept }, "rest", foreign},
		{capture, func(r *ledger.Request) { r.IdempotencyKey = "" }, "idempotency_key", "is required"},
		{release, func(r *ledger.Request) { r.IdempotencyKey = "" }, "idempotency_key", "is required"},
		{expire, func(r *ledger.Request) { r.IdempotencyKey = "" }, "idempotency_key", "is required"},
		{hold, func(r *ledger.Request) { r.IdempotencyKey = "" }, "idempotency_key", "is required"}, // though it has an invoice
		{charge, func(r *ledger.Request) { r.Charges = ledger.ChargesMandated }, "charges", foreign},
		{grant, func(r *ledger.Request) { r.Charges = ledger.ChargesMandated }, "charges", foreign},
		{open, func(r *ledger.Request) { r.Charges = "anyone" }, "charges", "must be mandated, or left out"}, // what the API calls so is nothing here
		{open, func(r *ledger.Request) { r.Charges = secretText }, "charges", "must be mandated, or left out"},
		{grant, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{} }, "merchant_id", "is required"},
		{revoke, func(r *ledger.Request) { r.Merchant = ledger.MerchantID{} }, "merchant_id", "is required"},
		{grant, func(r *ledger.Request) { r.Asker.Party = ledger.AsMerchant(r.Merchant) }, "asked_by", notAsked},
		{revoke, func(r *ledger.Request) { r.Asker.Party = ledger.AsMerchant(r.Merchant) }, "asked_by", notAsked},
		{grant, func(r *ledger.Request) { r.Asker.Party = ledger.AsSystem() }, "asked_by", notAsked},
		{grant, func(r *ledger.Request) { r.Asker.Owner = [16]byte{} }, "asked_by", "must name the owner of a merchant's or a client's key, and no other"},
		{grant, func(r *ledger.Request) { r.Client = ledger.ClientID{1} }, "client_id", foreign},
		{grant, func(r *ledger.Request) { r.Currency = "" }, "currency", "must be an ISO 4217 code in capitals"},
		{revoke, func(r *ledger.Request) { r.Currency = "EUR" }, "currency", foreign},
		{grant, func(r *ledger.Request) { r.Amount = 1 }, "amount", foreign},
		{grant, func(r *ledger.Request) { r.Invoice = "INV-1" }, "invoice", foreign},
		{grant, func(r *ledger.Request) { r.Refers = operationOf(r.Wallet, 9) }, "refers_to", foreign},
		{grant, func(r *ledger.Request) { r.Terms.MaxAmount = -1 }, "max_amount", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.MaxAmount = ledger.MaxAmount + 1 }, "max_amount", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.PerDay = -1 }, "per_day", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.PerDay = ledger.MaxAmount + 1 }, "per_day", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.PerMonth = math.MinInt64 }, "per_month", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.PerMonth = ledger.MaxAmount + 1 }, "per_month", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.Total = -1 }, "total", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.Total = math.MaxInt64 }, "total", noAmount},
		{grant, func(r *ledger.Request) { r.Terms.ValidUntil = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "valid_until", years},
		{grant, func(r *ledger.Request) { r.Terms.ValidUntil = time.Time{}.Add(1) }, "valid_until", years},
		{revoke, func(r *ledger.Request) { r.Terms.MaxAmount = 1 }, "max_amount", foreign},
		{charge, func(r *ledger.Request) { r.Terms.PerDay = 1 }, "per_day", foreign},
		{hold, func(r *ledger.Request) { r.Terms.PerMonth = 1 }, "per_month", foreign},
		{open, func(r *ledger.Request) { r.Terms.Total = 1 }, "total", foreign},
		{revoke, func(r *ledger.Request) { r.Terms.ValidUntil = r.Terms.ValidUntil.AddDate(2026, 0, 0) }, "valid_until", foreign},
		{grant, func(r *ledger.Request) { r.Note = secretText }, "note", "is for operators"},
		{revoke, func(r *ledger.Request) { r.Note = "n" }, "note", "is for operators"},
		{grant, func(r *ledger.Request) { r.IdempotencyKey = "a " }, "idempotency_key", blank},
		{charge, func(r *ledger.Request) { r.IdempotencyKey = strings.Repeat("k", 256) }, "idempotency_key", fmt.Sprintf(tooLong, 255)},
		{freeze, func(r *ledger.Request) { r.IdempotencyKey = secretText + "\x1b" }, "idempotency_key", control},
		{charge, func(r *ledger.Request) { r.Invoice = secretText + " " }, "invoice", blank},
		{charge, func(r *ledger.Request) { r.Invoice = " " + secretText }, "invoice", blank},
		{charge, func(r *ledger.Request) { r.Invoice = " " }, "invoice", blank},
		{charge, func(r *ledger.Request) { r.Invoice = "a\u200bb" }, "invoice", unseen},
		{freeze, func(r *ledger.Request) { r.IdempotencyKey = "a\u00a0b" }, "idempotency_key", unseen},
		{freeze, func(r *ledger.Request) { r.IdempotencyKey = "a " }, "idempotency_key", blank},
		{topUp, func(r *ledger.Request) { r.IdempotencyKey = "" }, "idempotency_key", "is required"},
		{charge, func(r *ledger.Request) { r.IdempotencyKey, r.Invoice = "", "" }, "idempotency_key", "is required where there is no invoice"},
		{charge, func(r *ledger.Request) { r.ApplyBefore = time.Time{}.Add(1) }, "apply_before", years},
		{charge, func(r *ledger.Request) { r.ApplyBefore = time.Unix(0, -1) }, "apply_before", years},
		{charge, func(r *ledger.Request) { r.ApplyBefore = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "apply_before", years},
		{charge, func(r *ledger.Request) { r.ReceivedAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }, "received_at", years},
	} {
		t.Run(fmt.Sprintf("%s %s %s", row.kind, row.field, row.message), func(t *testing.T) {
			t.Parallel()
			r := validRequests()[row.kind]
			row.fault(&r)
			want := []ledger.Fault{{Field: row.field, Message: row.message}}
			got := r.Faults()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(fmt.Sprint(got), secretText) {
				t.Errorf("the value is echoed: %v", got)
			}
		})
	}
}

func TestFaultsAtTheEdge(t *testing.T) {
	t.Parallel()
	r := validCharge()
	r.Amount = ledger.MaxAmount
	r.Invoice = strings.Repeat("ñ", ledger.MaxInvoiceLength)
	r.Description = strings.Repeat("\U0001F4B6", ledger.MaxDescriptionLength)
	r.IdempotencyKey = strings.Repeat("k", ledger.MaxKeyLength)
	r.ApplyBefore = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	r.ReceivedAt = time.Unix(0, 0)
	full := map[string]string{}
	for i := range ledger.MaxMetadataEntries {
		full[strings.Repeat("k", ledger.MaxMetadataKeyLength-2)+fmt.Sprintf("%02d", i)] = strings.Repeat("\u2028", ledger.MaxMetadataValueLength)
	}
	r.Metadata = ledger.NewMetadata(full)
	if f := r.Faults(); f != nil {
		t.Errorf("a request that just fits: %v", f)
	}
	r.Amount = 1
	if f := r.Faults(); f != nil {
		t.Errorf("the least amount: %v", f)
	}
	for _, seconds := range []int64{60, 30 * 24 * 3600, ledger.DefaultExpiresIn} {
		hold := validRequests()[ledger.KindHold]
		if hold.ExpiresIn = seconds; hold.Faults() != nil {
			t.Errorf("%d seconds: %v", seconds, hold.Faults())
		}
	}
	for _, amount := range []int64{0, 1, ledger.MaxAmount} { // 0: no limit
		grant := validRequests()[ledger.KindGrant]
		grant.Terms = ledger.Terms{MaxAmount: amount, PerDay: amount, PerMonth: amount, Total: amount}
		if grant.Faults() != nil {
			t.Errorf("a mandate of %d: %v", amount, grant.Faults())
		}
	}
	transfer := validRequests()[ledger.KindWithdraw]
	if transfer.Reference = strings.Repeat("ñ", ledger.MaxReferenceLength); transfer.Faults() != nil {
		t.Errorf("a reference that just fits: %v", transfer.Faults())
	}
	for _, kind := range []ledger.Kind{ledger.KindGrant, ledger.KindRevoke} {
		noted := validRequests()[kind]
		if noted.Asker.Party, noted.Note = ledger.AsOperator(), "as the client asked"; noted.Faults() != nil {
			t.Errorf("a %s with an operator's note: %v", kind, noted.Faults())
		}
	}
	for _, kind := range []ledger.Kind{ledger.KindRefund, ledger.KindCapture, ledger.KindRelease} {
		rest := validRequests()[kind]
		if rest.Amount, rest.Currency, rest.Rest = 0, "", ""; rest.Faults() != nil {
			t.Errorf("a %s of all that is left: %v", kind, rest.Faults())
		}
	}
}

// A transfer outside is behind a top-up and a withdrawal, and behind nothing else.
func TestFaultsOfAReference(t *testing.T) {
	t.Parallel()
	for kind, r := range validRequests() {
		r.Reference = "E2E-17"
		belongs := kind == ledger.KindTopUp || kind == ledger.KindWithdraw
		if f := r.Faults(); (f == nil) != belongs || f != nil && f[0].Field != "reference" {
			t.Errorf("a %s with a reference: %v", kind, f)
		}
	}
}

// Every fault is reported at once, in the order of the fields.
func TestFaultsAllAtOnce(t *testing.T) {
	t.Parallel()
	year := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	many := map[string]string{"": secretText + "\x01", "b\x02": strings.Repeat("v", 501), "c": strings.Repeat("\x03", 501)}
	for i := range ledger.MaxMetadataEntries {
		many[fmt.Sprintf("k%02d", i)] = "fine"
	}
	r := ledger.Request{
		Kind: "gift", Merchant: ledger.MerchantID{1}, Client: ledger.ClientID{1}, Amount: 1, Currency: "EUR",
		Invoice: strings.Repeat("\x00", 129), Reference: strings.Repeat("\x00", 141), Description: "\xff\x00" + strings.Repeat("x", 500), Metadata: ledger.NewMetadata(many),
		Charges: "anyone", Terms: ledger.Terms{MaxAmount: -1, PerDay: -1, PerMonth: -1, Total: -1, ValidUntil: year},
		IdempotencyKey: "\u0000", ApplyBefore: year, ReceivedAt: year,
	}
	var got []string
	for _, f := range r.Faults() {
		got = append(got, f.Field)
	}
	want := []string{
		"kind", "wallet_id", "asked_by", "merchant_id", "client_id", "amount", "currency",
		"invoice", "invoice", "invoice", // of another kind, too long, control characters
		"reference", "reference", "reference",
		"description", "description", "description",
		"metadata",             // too many
		"metadata", "metadata", // an empty key, and its value
		"metadata", "metadata", // a key with a control character, and its value
		"metadata.c", "metadata.c",
		"charges", "charges", // of another kind, and none
		"max_amount", "max_amount", "per_day", "per_day", "per_month", "per_month", "total", "total", "valid_until", "valid_until",
		"idempotency_key", "apply_before", "received_at",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	operator := ledger.Asker{Party: ledger.AsOperator()}
	topUp := ledger.Request{Kind: ledger.KindTopUp, Asker: operator, Wallet: ledger.WalletID{1}, Amount: 1, Currency: "EUR", Invoice: "INV-1"}
	if f := topUp.Faults(); len(f) != 2 || f[0].Field != "invoice" || f[1].Field != "idempotency_key" {
		t.Errorf("a top-up with an invoice in place of its key: %v", f)
	}
}

// Every control character is refused in every text. In what tells one thing from
// another, everything that cannot be seen is refused too; and nothing else is.
func TestFaultsCharacters(t *testing.T) {
	t.Parallel()
	fields := []string{"invoice", "description", "metadata", "metadata.color", "idempotency_key"}
	for _, c := range characters() {
		isControl := unicode.Is(unicode.Cc, c)
		isUnseen := strings.ContainsRune(unseen, c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) ||
			unicode.Is(unicode.Zs, c) && c != ' ' || c&0xfffe == 0xfffe || c >= 0xfdd0 && c <= 0xfdef || c >= 0xfe00 && c <= 0xfe0f
		text := "a" + string(c) + "b"
		for i, field := range fields {
			if c > 0x2fff && i > 0 {
				break // the others go by the same rule, and this takes its time
			}
			r := validCharge()
			switch i {
			case 0:
				r.Invoice = text
			case 1:
				r.Description = text
			case 2:
				r.Metadata = entry(text, "red")
			case 3:
				r.Metadata = entry("color", text)
			case 4:
				r.IdempotencyKey = text
			}
			refused := slices.ContainsFunc(r.Faults(), func(f ledger.Fault) bool { return f.Field == field })
			isLabel := field == "invoice" || field == "idempotency_key"
			if want := isControl || isLabel && isUnseen; refused != want {
				t.Errorf("U+%04X in %s: refused %t, want %t", c, field, refused, want)
			}
		}
	}
}

// unseen are characters that show nothing, of no category that says so: fillers of
// Hangul and Khmer, the grapheme joiner, Mongolian selectors, what is reserved for more.
const unseen = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u3164\uffa0" +
	"\ufff0\ufff1\ufff2\ufff3\ufff4\ufff5\ufff6\ufff7\ufff8"

// characters are those of the first plane, without surrogates, and the ends of the
// others.
func characters() (all []rune) {
	for c := rune(0); c <= 0xffff; c++ {
		if !unicode.Is(unicode.Cs, c) {
			all = append(all, c)
		}
	}
	for plane := rune(0x10000); plane <= 0x100000; plane += 0x10000 {
		all = append(all, plane|0xfffe, plane|0xffff)
	}
	return all
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"A", "Lucía", "Café Orto, 2nd till", "長崎屋", strings.Repeat("ñ", ledger.MaxNameLength)} {
		if got := ledger.NameFaults(good); got != nil {
			t.Errorf("%q: %v", good, got)
		}
	}
	for _, bad := range []string{
		"", " ", "   ", " a", "a ", "a\n", "a\u00a0", "\u200b", "\u3164", "a\u202eb", "\xff", "a\ufeff",
		strings.Repeat("x", ledger.MaxNameLength+1),
	} {
		if got := ledger.NameFaults(bad); len(got) == 0 {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	r := validCharge()
	want := ledger.Identity{
		Kind: ledger.KindCharge, Asker: ledger.AsMerchant(r.Merchant), Merchant: r.Merchant, Wallet: r.Wallet,
		Source: ledger.SourceKey, Value: "k-1",
	}
	if diff := cmp.Diff(want, r.Identity()); diff != "" {
		t.Errorf("under a key (-want +got):\n%s", diff)
	}
	r.IdempotencyKey = ""
	want.Source, want.Value = ledger.SourceInvoice, "INV-1001"
	if diff := cmp.Diff(want, r.Identity()); diff != "" {
		t.Errorf("under its invoice (-want +got):\n%s", diff)
	}
}

func entry(key, value string) ledger.Metadata {
	return ledger.NewMetadata(map[string]string{key: value})
}

func entries(n int) ledger.Metadata {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("k%d", i)] = "v"
	}
	return ledger.NewMetadata(m)
}
