package ingest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWaitsBeyondTheBoundAreNotApplied: who finds no seat to wait at is served all
// the same.
func TestWaitsBeyondTheBoundAreNotApplied(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	s.admission.mostInHand, s.admission.mostOthers, s.admission.mostWaiting = 2, 2, 1
	var inner func(r *http.Request)
	handler := s.admit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner(r) }))
	send := func(path string, preferences ...string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		for _, p := range preferences {
			r.Header.Add("Prefer", p)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	preferred := func(want string) func(*http.Request) {
		return func(r *http.Request) {
			t.Helper()
			if got := r.Header.Get("Prefer"); got != want {
				t.Errorf("it prefers %q, want %q", got, want)
			}
		}
	}
	inner = func(first *http.Request) {
		if s.admission.inHand.Load() != 1 || s.admission.waiting.Load() != 1 {
			t.Errorf("%d in hand and %d waiting", s.admission.inHand.Load(), s.admission.waiting.Load())
		}
		for _, wait := range []string{"wait=1", "respond-async, wait=30"} {
			inner = preferred("")
			send("/v1/operations/x", wait)
		}
		inner = preferred("respond-async")
		send("/v1/operations/x", "respond-async") // it does not want to wait
		stepAside(first.Context())
		stepAside(first.Context()) // once is enough
		inner = func(*http.Request) {
			inner = func(*http.Request) {
				if got := send("/v1/operations/x"); got != http.StatusServiceUnavailable {
					t.Errorf("the third in hand is answered %d", got)
				}
				inner = preferred("")
				if got := send("/livez"); got != http.StatusOK {
					t.Errorf("the check of health is answered %d", got)
				}
			}
			send("/v1/operations/x")
		}
		send("/v1/operations/x")
	}
	send("/v1/operations/x", "respond-async", "wait=1")
	if s.admission.inHand.Load() != 0 || s.admission.others.Load() != 0 || s.admission.waiting.Load() != 0 {
		t.Errorf("%d in hand and %d waiting, with nobody there", s.admission.inHand.Load(), s.admission.waiting.Load())
	}
	inner = preferred("wait=1")
	send("/v1/operations/x", "wait=1") // there is room again
}

// TestOthersLeaveSeats: charges and top-ups are taken where nothing else is.
func TestOthersLeaveSeats(t *testing.T) {
	t.Parallel()
	a := &admission{mostInHand: 3, mostOthers: 2, mostWaiting: 1}
	take := func(submission, want bool) *seat {
		t.Helper()
		s, ok := a.enter(submission)
		if ok != want {
			t.Fatalf("submission %v: %v", submission, ok)
		}
		return s
	}
	first := take(false, true)
	second := take(false, true)
	take(false, false)
	third := take(true, true)
	take(true, false)
	first.leave()
	take(true, true).leave()
	second.stepAside()
	take(false, true).leave()
	third.leave()
	second.leave()
	if a.inHand.Load() != 0 || a.others.Load() != 0 {
		t.Errorf("%d in hand, %d others, with nobody there", a.inHand.Load(), a.others.Load())
	}
	for target, want := range map[string]bool{
		"POST /v1/wallets/x/charges": true, "POST /v1/wallets/x/top-ups": true,
		"GET /v1/wallets/x/charges": false, "POST /v1/wallets/x/freeze": false, "POST /v1/wallets": false,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := isSubmission(httptest.NewRequest(method, path, nil)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}
