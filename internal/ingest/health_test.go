package ingest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := ask("/readyz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("before the first check: %d", w.Code)
	}
	s.health.checked = true
	if w := ask("/readyz"); w.Code != http.StatusOK {
		t.Errorf("after a good check: %d", w.Code)
	}
	s.health.draining.Store(true)
	w := ask("/readyz")
	if w.Code != CodeDraining.Status() || w.Header().Get("Retry-After") == "" {
		t.Errorf("while draining: %d %s", w.Code, w.Body)
	}
	if w := ask("/livez"); w.Code != http.StatusOK {
		t.Errorf("liveness while draining: %d", w.Code)
	}
}
