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
