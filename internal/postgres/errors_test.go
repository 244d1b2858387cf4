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
	for code, want := range map[string]error{
		"22021": processor.ErrData, "22003": processor.ErrData, "22P02": processor.ErrData, "22P03": processor.ErrData,
		"23505": processor.ErrIntegrity, "23514": processor.ErrIntegrity, "23502": processor.ErrIntegrity,
		"57014": nil, "40001": nil, "40P01": nil, "53100": nil, "53200": nil, "53300": nil, "42501": nil, "42P01": nil, "0A000": nil,
		"57P01": nil, "08006": nil, "25P02": nil, "55P03": nil, "XX000": nil, "P0001": nil, "58030": nil,
	} {
		given := fmt.Errorf("write operations: %w", &pgconn.PgError{Code: code})
		got := classified(given)
		for _, named := range []error{processor.ErrData, processor.ErrIntegrity} {
			if errors.Is(got, named) != (named == want) {
				t.Errorf("%s: %v", code, got)
			}
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
