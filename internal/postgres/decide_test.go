package postgres

import (
	"errors"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// The rules have no panic that a request is known to cause. Should they get one,
// it must be the data's fault, so that the request is found. Rules without a book
// to look in panic.
func TestPanicWhileDecidingIsTheDatasFault(t *testing.T) {
	t.Parallel()
	slice := processor.Slice{To: 1, Items: []processor.Item{{Request: &ledger.Request{Kind: ledger.KindCharge}}}}
	if _, err := decide(nil, processor.Claim{}, slice); !errors.Is(err, processor.ErrData) {
		t.Errorf("got %v, want the data's fault", err)
	}
}
