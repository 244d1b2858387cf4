package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/monedero/monedero/internal/processor"
)

// Only what is the data's fault, or breaks our own rules, has a name. All else
// is trouble of the machinery, to be tried again and never written down.
func TestClassified(t *testing.T) {
	t.Parallel()
	type class struct{ data, integrity bool }
	data, integrity, machinery := class{data: true}, class{integrity: true}, class{}
	for code, want := range map[string]class{
		"22021": data, "22003": data, "22P02": data, "22P03": data,
		"23505": integrity, "23514": integrity, "23502": integrity,
		"57014": machinery, "40001": machinery, "40P01": machinery, "53100": machinery, "53200": machinery, "53300": machinery,
		"42501": machinery, "42P01": machinery, "0A000": machinery, "57P01": machinery, "08006": machinery, "25P02": machinery,
		"55P03": machinery, "XX000": machinery, "P0001": machinery, "58030": machinery,
	} {
		given := fmt.Errorf("write operations: %w", &pgconn.PgError{Code: code})
		got := classified(given)
		if c := (class{errors.Is(got, processor.ErrData), errors.Is(got, processor.ErrIntegrity)}); c != want {
			t.Errorf("%s: %v", code, got)
		}
		if !errors.Is(got, given) {
			t.Errorf("%s: the cause is lost: %v", code, got)
		}
	}
	for _, given := range []error{io.ErrUnexpectedEOF, context.DeadlineExceeded, errors.New("anything"), errNotCommitted} {
		if got := classified(given); got != given { //nolint:errorlint // the very error is meant
			t.Errorf("%v became %v", given, got)
		}
	}
}
