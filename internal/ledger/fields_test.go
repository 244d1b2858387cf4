package ledger_test

import (
	"reflect"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

// The list of fields says each value of an operation once: what it forgot would be neither
// stored nor sealed.
func TestFieldsAreThoseOfAnOperation(t *testing.T) {
	t.Parallel()
	op := fullOperation()
	values := map[uintptr]string{}
	for path, value := range leaves(t, reflect.ValueOf(&op).Elem(), "") {
		values[value.Addr().Pointer()] = path
	}
	columns := map[string]bool{}
	for _, f := range ledger.OperationFields() {
		at := reflect.ValueOf(f.Of(&op)).Pointer()
		if _, is := values[at]; !is {
			t.Errorf("%s is no value of an operation, or one that is there twice", f.Column)
		}
		delete(values, at)
		if columns[f.Column] {
			t.Errorf("%s is there twice", f.Column)
		}
		columns[f.Column] = true
		if f.Since > ledger.SealVersion {
			t.Errorf("%s is sealed since version %d, which is not there yet", f.Column, f.Since)
		}
	}
	for _, path := range values {
		t.Errorf("%s is in no field", path)
	}
}

// A left_after of nothing says something of what refers to an operation and of what a limit let through, and is not there of anything
// else.
func TestWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	var left ledger.Field
	for _, f := range ledger.OperationFields() {
		if f.Column == "left_after" {
			left = f
		}
	}
	for name, c := range map[string]struct {
		operation ledger.Operation
		absent    bool
	}{
		"a charge":                    {ledger.Operation{}, true},
		"a charge that failed":        {ledger.Operation{Reason: ledger.ReasonInsufficientFunds}, true},
		"a charge under a mandate":    {ledger.Operation{MandateDay: 1}, true},
		"a charge beyond its mandate": {ledger.Operation{Reason: ledger.ReasonMandateLimit, MandateLimit: ledger.LimitTotal}, false},
		"a refund":                    {ledger.Operation{Request: ledger.Request{Refers: ledger.OperationID{1}}}, false},
	} {
		if left.Absent(&c.operation) != c.absent {
			t.Errorf("%s: absent %t", name, !c.absent)
		}
	}
}
