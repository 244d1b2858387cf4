package access

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	for _, role := range []ledger.Role{ledger.RoleMerchant, ledger.RoleClient, ledger.RoleOperator} {
		want := token{role: role, id: ledger.KeyID(uuid.New()), secret: newSecret()}
		got, err := parseToken(testMinter, want.text(testMinter))
		if err != nil || got != want {
			t.Errorf("parse %s: %v, %v", want.text(testMinter), got, err)
		}
		if !strings.HasPrefix(want.text(testMinter), "mon_"+string(role)+"_key_") {
			t.Errorf("token %s", want.text(testMinter))
		}
	}
}

func TestEveryTypingErrorIsFound(t *testing.T) {
	t.Parallel()
	good := token{role: ledger.RoleClient, id: ledger.KeyID(uuid.New()), secret: newSecret()}.text(testMinter)
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(good)-1).Draw(t, "place")
		c := rapid.Byte().Draw(t, "byte")
		bad := good[:i] + string([]byte{c}) + good[i+1:]
		if bad == good {
			return
		}
		if _, err := parseToken(testMinter, bad); err == nil {
			t.Fatalf("%q passes", bad)
		}
	})
	for i := range good {
		if _, err := parseToken(testMinter, good[:i]); err == nil {
			t.Errorf("%d of %d characters pass", i, len(good))
		}
	}
	for _, bad := range []string{good + "0", " " + good, strings.ToUpper(good), strings.Replace(good, "client", "admin", 1)} {
		if _, err := parseToken(testMinter, bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(token{role: ledger.RoleOperator, id: ledger.KeyID(uuid.New()), secret: newSecret()}.text(testMinter))
	f.Add("mon_operator_")
	f.Fuzz(func(t *testing.T, text string) {
		if parsed, err := parseToken(testMinter, text); err == nil && parsed.text(testMinter) != text {
			t.Errorf("%q is read as %q", text, parsed.text(testMinter))
		}
	})
}
