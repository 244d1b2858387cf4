package devstack_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/devstack"
)

func TestPostgresInTemporaryFolder(t *testing.T) {
	t.Parallel()
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	var fsync, compression string
	if err := conn.QueryRow(t.Context(), `select current_setting('fsync'), current_setting('wal_compression')`).Scan(&fsync, &compression); err != nil {
		t.Fatal(err)
	}
	t.Log(fsync, compression, p.Source())
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
}
