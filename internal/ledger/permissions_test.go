package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// TestPermissions: each operation has one row, which lets somebody do it.
func TestPermissions(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range ledger.Permissions() {
		if p.Operation == "" || seen[p.Operation] || len(p.Roles()) == 0 {
			t.Errorf("%+v: no operation, or one that has a row already, or nobody's", p)
		}
		seen[p.Operation] = true
		if ledger.PermissionFor(p.Operation) != p {
			t.Errorf("%s is not found", p.Operation)
		}
		if p.Operator == ledger.ReachOwn {
			t.Errorf("%s: the operator owns nothing", p.Operation)
		}
	}
	if got := ledger.PermissionFor("dance").Roles(); got != nil {
		t.Errorf("what has no row is done by %v", got)
	}
}

// TestMay asks for things of one's own, of others and of nobody.
func TestMay(t *testing.T) {
	t.Parallel()
	const shown, asked = "get-operation", "charge" // by all and by merchants
	id, other := [16]byte{1}, [16]byte{2}
	nobody := ledger.Party{}
	for _, role := range ledger.Roles() {
		self := ledger.Party{Role: role, Owner: id}
		if role == ledger.RoleOperator {
			self.Owner = [16]byte{}
		}
		operator := role == ledger.RoleOperator
		for _, c := range []struct {
			what   string
			owners []ledger.Party
			want   bool
		}{
			{"its own", []ledger.Party{{Role: ledger.RoleOperator, Owner: other}, self}, true},
			{"another's", []ledger.Party{{Role: role, Owner: other}}, operator},
			{"one of the same ID in another role", []ledger.Party{{Role: "king", Owner: id}}, operator},
			{"nobody's", []ledger.Party{nobody, {Role: role}}, operator},
			{"nothing", nil, operator},
		} {
			if got := self.May(shown, c.owners...); got != c.want {
				t.Errorf("a %s may see %s: %v", role, c.what, got)
			}
		}
		if got := self.May(asked, nobody); got != (role == ledger.RoleMerchant) {
			t.Errorf("a %s may charge: %v", role, got)
		}
		if self.May("dance", self) {
			t.Errorf("a %s may do what has no row", role)
		}
	}
	if nobody.May(shown, nobody) {
		t.Error("nobody sees what is nobody's")
	}
}

// TestAskersMayAsk: who may ask for a kind of operation is who may do what asks for it.
func TestAskersMayAsk(t *testing.T) {
	t.Parallel()
	operations := map[ledger.Kind]string{
		ledger.KindOpen: "open-wallet", ledger.KindTopUp: "top-up", ledger.KindCharge: "charge", ledger.KindFreeze: "freeze-wallet",
		ledger.KindUnfreeze: "unfreeze-wallet", ledger.KindClose: "close-wallet", ledger.KindSetLimit: "set-credit-limit",
		ledger.KindWithdraw: "withdraw", ledger.KindRefund: "refund", ledger.KindHold: "hold", ledger.KindCapture: "capture",
		ledger.KindRelease: "release", ledger.KindGrant: "put-mandate", ledger.KindRevoke: "revoke-mandate",
	}
	for _, kind := range ledger.Kinds() {
		if kind == ledger.KindExpire { // no operation of the API asks for it
			if diff := cmp.Diff([]ledger.Role{ledger.RoleSystem}, kind.Askers()); diff != "" {
				t.Errorf("%s (-want +asks):\n%s", kind, diff)
			}
			continue
		}
		if diff := cmp.Diff(ledger.PermissionFor(operations[kind]).Roles(), kind.Askers()); diff != "" {
			t.Errorf("%s (-may +asks):\n%s", kind, diff)
		}
	}
}

// TestMandatesAreTheirs: a client's are those of its wallets, and a merchant sees the one that it was given, not what
// others were.
func TestMandatesAreTheirs(t *testing.T) {
	t.Parallel()
	want := map[string]ledger.Permission{
		"put-mandate":    {Client: ledger.ReachOwn, Operator: ledger.ReachAny},
		"revoke-mandate": {Client: ledger.ReachOwn, Operator: ledger.ReachAny},
		"get-mandate":    {Merchant: ledger.ReachOwn, Client: ledger.ReachOwn, Operator: ledger.ReachAny},
		"list-mandates":  {Client: ledger.ReachOwn, Operator: ledger.ReachAny},
	}
	for operation, p := range want {
		p.Operation = operation
		if got := ledger.PermissionFor(operation); got != p {
			t.Errorf("%+v, want %+v", got, p)
		}
	}
}

// TestTheSystemMayDoNothing of the API: no key has its role.
func TestTheSystemMayDoNothing(t *testing.T) {
	t.Parallel()
	for _, p := range ledger.Permissions() {
		if ledger.AsSystem().May(p.Operation, ledger.AsSystem()) || p.Reach(ledger.RoleSystem) != ledger.ReachNone {
			t.Errorf("the system may do %s", p.Operation)
		}
	}
	if got, err := ledger.ParseParty(ledger.RoleSystem, ""); err != nil || got != ledger.AsSystem() || got.String() != "system" {
		t.Errorf("%v is read as %v: %v", ledger.AsSystem(), got, err)
	}
	if _, err := ledger.ParseParty(ledger.RoleSystem, ledger.MerchantID{1}.String()); err == nil {
		t.Error("the system has an owner")
	}
}
