package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	got, faults, err := decode[chargeBody](new(bodies), []byte(`{"amount":1250,"currency":"EUR","invoice":"INV-1","description":"ä€😀",
		"metadata":{"order":"1","é":""},"apply_before":"2030-01-02T04:04:05.123456789+01:00"}`))
	if err != nil || len(faults) != 0 {
		t.Fatal(faults, err)
	}
	want := chargeBody{
		Amount: 1250, Currency: "EUR", Invoice: "INV-1", Description: "ä€😀",
		Metadata: map[string]string{"order": "1", "é": ""}, ApplyBefore: time.Date(2030, 1, 2, 3, 4, 5, 123456789, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, faults, err := decode[directBody](new(bodies), nil); err != nil || faults != nil || got.Description != "" {
		t.Error("an empty body is not an empty object:", got, faults, err)
	}
}

// looseBody is a body in which nothing is required.
type looseBody struct {
	Amount      int64             `json:"amount,omitempty"`
	Currency    string            `json:"currency,omitempty"`
	Invoice     string            `json:"invoice,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	ApplyBefore time.Time         `json:"apply_before,omitzero"`
}

func TestDecodeAsksForWhatIsRequired(t *testing.T) {
	t.Parallel()
	amount, currency := Fault{"body.amount", "is required"}, Fault{"body.currency", "is required"}
	for body, want := range map[string][]Fault{
		``: {amount, currency}, `{}`: {amount, currency}, `{"amount":5}`: {currency}, `{"currency":"EUR"}`: {amount},
		`{"amount":0,"currency":"EUR"}`:    nil, // the rules know better
		`{"amount":null,"currency":"EUR"}`: {{"body.amount", "must be an integer"}},
		`{"amount":5,"currency":""}`:       {{"body.currency", "must not be empty"}},
		`{"AMOUNT":5,"currency":"EUR"}`:    {{"body.AMOUNT", "is not a field; names are exact in case: amount"}, amount},
	} {
		_, faults, err := decode[chargeBody](new(bodies), []byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, faults); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestDecodeFindsEveryFault(t *testing.T) {
	t.Parallel()
	const (
		notInteger = "must be an integer"
		fraction   = "must be an integer, without fraction and exponent"
		notString  = "must be a string"
		control    = "must not contain control characters"
		notTime    = "must be a time as in RFC 3339"
		twice      = "must not appear twice"
		unknown    = "is not a field of this request"
		flat       = "must be a flat object of strings"
	)
	for body, want := range map[string][]Fault{
		`[]`:                                      {{"body", "must be an object"}},
		`null`:                                    {{"body", "must be an object"}},
		`"x"`:                                     {{"body", "must be an object"}},
		`{"amount":5,"AMOUNT":-700}`:              {{"body.AMOUNT", "is not a field; names are exact in case: amount"}},
		`{"amount":5,"amount":-700}`:              {{"body.amount", twice}},
		`{"amount":5,"\u0061mount":7}`:            {{"body.amount", twice}},
		`{"":1}`:                                  {{"body.", unknown}},
		`{"tip":{"a":[1,{"b":2}]},"amount":5}`:    {{"body.tip", unknown}},
		`{"amount":1.0}`:                          {{"body.amount", fraction}},
		`{"amount":1e3}`:                          {{"body.amount", fraction}},
		`{"amount":1.5}`:                          {{"body.amount", fraction}},
		`{"amount":"5"}`:                          {{"body.amount", notInteger}},
		`{"amount":null}`:                         {{"body.amount", notInteger}},
		`{"amount":true}`:                         {{"body.amount", notInteger}},
		`{"amount":[5]}`:                          {{"body.amount", notInteger}},
		`{"currency":5}`:                          {{"body.currency", notString}},
		`{"invoice":null}`:                        {{"body.invoice", notString}},
		`{"invoice":"a\u0000b"}`:                  {{"body.invoice", control}},
		`{"invoice":"a\nb"}`:                      {{"body.invoice", control}},
		`{"invoice":"\u0085"}`:                    {{"body.invoice", control}},
		`{"a\u0001b":1}`:                          {{"body", "must not have control characters in a name"}, {"body", unknown}},
		`{"metadata":"x"}`:                        {{"body.metadata", flat}},
		`{"metadata":[]}`:                         {{"body.metadata", flat}},
		`{"metadata":{"a":1}}`:                    {{"body.metadata.a", notString}},
		`{"metadata":{"a":{"b":"c"}}}`:            {{"body.metadata.a", notString}},
		`{"metadata":{"a":"x","a":"y"}}`:          {{"body.metadata.a", twice}},
		`{"metadata":{"a":1,"a":"y"}}`:            {{"body.metadata.a", notString}, {"body.metadata.a", twice}},
		`{"metadata":{"a":"\u007f"}}`:             {{"body.metadata.a", control}},
		`{"metadata":{"\u0000":"x"}}`:             {{"body.metadata", "must not have control characters in a name"}},
		`{"apply_before":"tomorrow"}`:             {{"body.apply_before", notTime}},
		`{"apply_before":"2030-01-02"}`:           {{"body.apply_before", notTime}},
		`{"apply_before":"2030-01-02T3:04:05Z"}`:  {{"body.apply_before", notTime}},
		`{"apply_before":"0001-01-01T00:00:00Z"}`: {{"body.apply_before", notTime}},
		`{"apply_before":1}`:                      {{"body.apply_before", notTime}},
		`{"amount":"5","currency":7,"x":1}`:       {{"body.amount", notInteger}, {"body.currency", notString}, {"body.x", unknown}},
		`{"` + strings.Repeat("n", 100) + `":1}`:  {{"body", unknown}},
	} {
		_, faults, err := decode[looseBody](new(bodies), []byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, faults); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestDecodeRefusesWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		" ", "{", `{"amount":5`, `{"amount":5,}`, `{"amount":05}`, `{"amount":+5}`, `{"amount":.5}`, `{amount:5}`, `{'amount':5}`,
		`{"amount":5}{}`, `{"amount":5} x`, `{"amount":NaN}`, "{\"invoice\":\"a\nb\"}", "{\"invoice\":\"\xff\"}", `{"invoice":"\ud800"}`,
		"\xef\xbb\xbf{}", `{"x":` + strings.Repeat("[", 20_000), "//x\n{}", `{"invoice":"top secret`,
	} {
		_, faults, err := decode[chargeBody](new(bodies), []byte(body))
		var r *refusal
		if !errors.As(err, &r) || r.code != CodeMalformedJSON || faults != nil {
			t.Errorf("%.40q: %v, %v", body, faults, err)
			continue
		}
		if strings.Contains(r.detail, "secret") || strings.Contains(r.detail, "NaN") {
			t.Errorf("%.40q is echoed: %s", body, r.detail)
		}
	}
}

func TestDecodeSaturates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"9007199254740993": 9007199254740993, "99999999999999999999": 1<<63 - 1, "-99999999999999999999": -1 << 63, "-0": 0,
	} {
		got, faults, err := decode[looseBody](new(bodies), []byte(`{"amount":`+text+`}`))
		if err != nil || faults != nil || got.Amount != want {
			t.Errorf("%s is %d, %v, %v", text, got.Amount, faults, err)
		}
	}
}

func TestDecodeLimitsFaults(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString(`{"amount":1`)
	for i := range 1000 {
		fmt.Fprintf(&body, `,"x%d":1`, i)
	}
	body.WriteString("}")
	_, faults, err := decode[chargeBody](new(bodies), []byte(body.String()))
	if err != nil || len(faults) != maxFaults {
		t.Error(len(faults), err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"amount":1250,"currency":"EUR","metadata":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, faults, err := decode[chargeBody](new(bodies), body)
		if err != nil || len(faults) > 0 {
			return
		}
		for _, text := range []string{got.Currency, got.Invoice, got.Description} {
			if hasControl(text) {
				t.Errorf("%q has control characters", text)
			}
		}
	})
}
