package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

// TestDrafts reads drafts of keys: each names every fault that it has, in the order of the fields.
func TestDrafts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0).UTC()
	shop, payer := ledger.MerchantID{1}.String(), ledger.ClientID{2}.String()
	long := strings.Repeat("x", ledger.MaxNameLength+1)
	for _, c := range []struct {
		draft access.Draft
		want  string // the fields at fault
	}{
		{access.Draft{Role: "operator", Name: "x"}, ""},
		{access.Draft{Role: "merchant", Merchant: shop, Name: "x", Rate: ledger.MaxKeyRate, ExpiresAt: now.Add(time.Second)}, ""},
		{access.Draft{Role: "client", Client: payer, Name: "x"}, ""},
		{access.Draft{}, "role name"},
		{access.Draft{Role: "king", Merchant: "x", Client: "x", Name: long, Rate: -1, ExpiresAt: now}, "role name rate expires_at"},
		{access.Draft{Role: "operator", Merchant: shop, Client: payer, Name: "x"}, "merchant_id client_id"},
		{access.Draft{Role: "merchant", Merchant: payer, Name: "x"}, "merchant_id"},
		{access.Draft{Role: "merchant", Client: payer, Name: "x"}, "merchant_id client_id"},
		{access.Draft{Role: "client", Client: shop, Name: "x", Rate: ledger.MaxKeyRate + 1}, "client_id rate"},
	} {
		k, faults := c.draft.Key(now)
		var fields []string
		for _, f := range faults {
			fields = append(fields, f.Field)
		}
		if !slices.Equal(fields, strings.Fields(c.want)) {
			t.Errorf("%+v: faults %v, want %s", c.draft, faults, c.want)
		}
		if c.want == "" && (string(k.Role) != c.draft.Role || k.Name != c.draft.Name || k.CreatedAt != now || k.Rate != int(c.draft.Rate)) {
			t.Errorf("%+v became %+v", c.draft, k)
		}
	}
	if k, _ := (access.Draft{Role: "merchant", Merchant: shop, Name: "Cafe\u0301"}).Key(now); k.Merchant() != (ledger.MerchantID{1}) || k.Name != "Caf\u00e9" {
		t.Errorf("a merchant's key became %+v", k)
	}
}
