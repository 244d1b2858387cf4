package ingest

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What was not served is in the log under the ID that its caller saw, once a second,
// and nothing of what the caller sent is.
func TestAnswersThatAreNoSuccessAreLogged(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	var out bytes.Buffer
	s.log = slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for range 3 {
		for _, path := range []string{"/v1/private", "/readyz", "/livez"} {
			r := httptest.NewRequest(http.MethodGet, path, strings.NewReader("a body"))
			r.Header.Set("Authorization", "Bearer mon_operator_key_secret")
			r.Header.Set(requestIDHeader, "seen"+path)
			s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	log := out.String()
	for _, want := range []string{
		`"level":"DEBUG","msg":"request not served","request_id":"seen/v1/private","method":"GET","route":`,
		`"level":"INFO","msg":"request not served","request_id":"seen/readyz","method":"GET","route":"/readyz","status":503`,
	} {
		if strings.Count(log, want) != 1 {
			t.Errorf("the log does not say once %s:\n%s", want, log)
		}
	}
	for _, secret := range []string{"a body", "secret", `"seen/livez"`} {
		if strings.Contains(log, secret) {
			t.Errorf("the log says %q:\n%s", secret, log)
		}
	}
}
