package postgres_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Main{M: m}) }
