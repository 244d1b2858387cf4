package system

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOneKeyIsOneCharge submits one charge many times at once on two replicas,
// and again after both were started anew.
func TestOneKeyIsOneCharge(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	first, operator := s.ingest()
	second, other := s.ingest()
	s.processor()
	shop := operator.open()
	wallet := shop.wallet()
	operator.topUp(wallet, 100)

	var mu sync.Mutex
	ids := map[string]bool{}
	submit := func(ctx context.Context, on *api) error {
		id, err := on.as(shop.till.key).charge(ctx, wallet, "the key", 60)
		mu.Lock()
		defer mu.Unlock()
		ids[id] = true
		return err
	}
	each(t, 8, func(ctx context.Context) error {
		return errors.Join(submit(ctx, operator), submit(ctx, other))
	})
	var id string
	for id = range ids {
	}
	if len(ids) != 1 {
		t.Fatalf("one key has the IDs %v", ids)
	}
	if o, err := shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
		t.Fatalf("the charge is %s, %v", o.Status, err)
	}

	first.terminate()
	second.kill()
	_, fresh := s.ingest()
	till := fresh.as(shop.till.key)
	// The answer does not wait for the database: it may take several tries until
	// the look-up is back before the record is durable.
	again := func(amount int64, seen func(int, object) bool) {
		for deadline := time.Now().Add(awaitTimeout); time.Now().Before(deadline); {
			status, o, err := till.submit(t.Context(), wallet, "the key", amount)
			if err != nil {
				t.Fatal(err)
			}
			if seen(status, o) {
				return
			}
			if status != http.StatusAccepted || o.ID != id {
				t.Fatalf("the key with amount %d: %d %s, ID %s", amount, status, o.Code, o.ID)
			}
		}
		t.Errorf("the key with amount %d: nothing in the answers says that it was used before", amount)
	}
	again(60, func(status int, o object) bool { return status == http.StatusOK && o.ID == id && o.Replayed })
	again(30, func(status int, o object) bool {
		return status == http.StatusUnprocessableEntity && o.Code == "idempotency_key_reused"
	})
	if _, w, err := fresh.call(t.Context(), http.MethodGet, "/v1/wallets/"+wallet, nil, nil); err != nil || w.Balance != 40 {
		t.Errorf("balance %d, %v; want 40", w.Balance, err)
	}
	s.monedero("verify")
}

// TestAnotherSecretIsRefused: under another secret a retry would be a second
// charge.
func TestAnotherSecretIsRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	env := append(s.env, "OPERATION_ID_SECRET=another secret, also long enough for it", "ADMIN_ADDR=", "INGEST_ADDR=127.0.0.1:0")
	for _, name := range []string{"ingest", "processor"} {
		_, err := built.run(t, env, name)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(err.Error(), "secret") {
			t.Errorf("%s with another secret: %v; want exit code 1 and why", name, err)
		}
		if strings.Contains(err.Error(), "also long enough") {
			t.Errorf("%s shows the secret", name)
		}
	}
}
