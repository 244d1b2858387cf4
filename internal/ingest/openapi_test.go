package ingest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

// unconnected are parts that nothing is asked of: what is tested here never
// gets that far.
type unconnected struct {
	Queue
	History
	Accounts
	Registry
	Direct
}

func newUnconnected(t *testing.T) *Server {
	t.Helper()
	minter, err := ledger.NewMinter([]byte(strings.Repeat("s", ledger.SecretBytes)))
	if err != nil {
		t.Fatal(err)
	}
	none := unconnected{}
	s, err := New(Options{Queue: none, History: none, Accounts: none, Registry: none, Direct: none, Minter: minter, Partitions: 16})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	t.Log(w.Body.String())
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
}
