package devstack_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

func TestApacheKeepsItsRecords(t *testing.T) {
	t.Parallel()
	kafkatest.NeedReal(t)
	o := devstack.ApacheOptions{Dir: filepath.Join(devstacktest.Folder(t), "made", "by", "us")}
	a, err := devstack.StartApache(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	createTopic(t, a.Brokers())
	produce(t, a.Brokers(), "one")
	id := clusterID(t, a.Brokers())
	a.KillBroker(0)
	if err := a.StartBroker(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	produce(t, a.Brokers(), "two")
	stop(t, a)
	stop(t, a) // once more does nothing

	again, err := devstack.StartApache(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Stop() })
	produce(t, again.Brokers(), "three")
	if diff := cmp.Diff([]string{"one", "two", "three"}, fetch(t, again.Brokers())); diff != "" {
		t.Error(diff)
	}
	if now := clusterID(t, again.Brokers()); now != id {
		t.Errorf("the cluster was %s and is %s", id, now)
	}
}
