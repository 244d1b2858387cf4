package demo

import (
	"context"
	"fmt"

	"github.com/monedero/monedero/internal/postgres"
)

// verify runs the checker on the whole database: the same as monedero verify.
func (s *stage) verify(ctx context.Context) (verified postgres.Report, err error) {
	err = s.console.step(func() (string, error) {
		if verified, err = s.store.Verify(ctx); err != nil {
			return "", fmt.Errorf("run the checker: %w", err)
		}
		return verified.String(), nil
	})
	return verified, err
}
