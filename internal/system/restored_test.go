package system

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// restoredSoon is how soon a partition must halt once its database was restored and
// answers.
const restoredSoon = 10 * time.Second

// restorable is a system of two partitions on a server that can be restored, and what
// its callers were told.
type restorable struct {
	*pair
	server  *server
	runners []*process
	told    []string // keys of charges of both wallets that were seen as accepted
}

func newRestorable(t *testing.T) *restorable {
	t.Helper()
	own := newServer(t)
	r := &restorable{pair: newPairOn(newStackOn(t, own.running.URL(), 2)), server: own}
	r.startProcessors()
	return r
}

func (r *restorable) startProcessors() {
	r.t.Helper()
	r.runners = []*process{r.processor(), r.processor()}
}

func (r *restorable) stopProcessors() {
	r.t.Helper()
	for _, p := range r.runners {
		p.terminate()
	}
}

// settles charges both wallets, and sees the outcomes.
func (r *restorable) settles(keys ...string) {
	r.t.Helper()
	for _, key := range keys {
		r.settlesOne(key)
		r.told = append(r.told, key)
	}
}

// awaitRestored waits until the partitions are halted for that, on whatever processor.
func (r *restorable) awaitRestored(partitions ...int) {
	r.t.Helper()
	deadline := time.Now().Add(restoredSoon + busy)
	for _, p := range partitions {
		line := fmt.Sprintf("monedero_kafka_partition_halted{partition=\"%d\"} 1\n", p)
		for !slices.ContainsFunc(r.runners, func(x *process) bool { return strings.Contains(x.metrics(), line) }) {
			if time.Now().After(deadline) {
				r.t.Fatalf("partition %d is not halted %v after the database was restored\n%s", p, restoredSoon, r.partitions())
			}
			r.must(pause(r.t.Context()))
		}
		if list := r.partitions(); !strings.Contains(list, "restored: the database is at an earlier moment") {
			r.t.Errorf("monedero partitions does not say why:\n%s", list)
		}
	}
}

// partitions is what monedero partitions shows; it fails, for something is wrong.
func (r *restorable) partitions() string {
	r.t.Helper()
	list, _ := built.run(r.t, r.env, "monedero", "partitions")
	return list
}

// staysHalted takes charges of both wallets and wants none of them settled.
func (r *restorable) staysHalted(key string) {
	r.t.Helper()
	before := r.count("select count(*) from operations")
	for _, w := range r.wallets {
		if status, o, err := r.shop.till.submit(r.t.Context(), w.String(), key, 1); err != nil || status != http.StatusAccepted {
			r.t.Errorf("a charge of a halted partition: %d %s, %v", status, o.Code, err)
		}
	}
	time.Sleep(2 * time.Second) // in which nothing must happen
	if after := r.count("select count(*) from operations"); after != before {
		r.t.Errorf("%d operations were settled in a restored database", after-before)
	}
}

// recovers runs monedero recover, and wants everything to be as it was told.
func (r *restorable) recovers(history int64, keys ...string) {
	r.t.Helper()
	before := r.everything()
	said := r.monedero("recover", "--dry-run")
	if !strings.Contains(said, "frozen") || !strings.Contains(said, "SETTLED AGAIN") {
		r.t.Errorf("recover shows\n%s", said)
	}
	if _, err := built.run(r.t, r.env, "monedero", "recover", "--reason", "a test"); err == nil {
		r.t.Error("recover asked nobody, and went on")
	}
	if after := r.everything(); fmt.Sprint(after) != fmt.Sprint(before) {
		r.t.Error("recover changed something before it was confirmed")
	}
	r.t.Log(r.monedero("recover", "--yes", "--reason", "a test of a restored database"))
	for _, key := range append(slices.Clone(r.told), keys...) {
		for _, w := range r.wallets {
			o, err := r.shop.till.outcome(r.t.Context(), r.charge(w, key).ID.String())
			if err != nil || o.Status != "accepted" {
				r.t.Errorf("the charge %s is %s %s, %v", key, o.Status, o.Failure.Reason, err)
			}
		}
	}
	r.told = append(r.told, keys...)
	if n := r.count("select history from deployment"); n != history {
		r.t.Errorf("this is history %d, want %d", n, history)
	}
	if said := r.monedero("audit", "--changes"); !strings.Contains(said, "history ") || !strings.Contains(said, "partition 1 ") ||
		!strings.Contains(said, "a test of a restored database") {
		r.t.Errorf("audit shows\n%s", said)
	}
	if said := r.monedero("recover", "--yes", "--reason", "again"); !strings.Contains(said, "nothing to recover") {
		r.t.Errorf("a second time it says\n%s", said)
	}
	for _, x := range r.runners {
		if n := x.metric("monedero_kafka_partition_halted"); n != 0 {
			r.t.Errorf("%v partitions are halted still", n)
		}
	}
	r.nothingPending()
	r.t.Log(r.monedero("verify"))
}

// TestRestoredDatabase restores the database to a moment before, by a base backup and
// the archive of its log: while processors run and nothing comes, while they are
// stopped, and twice. Every partition that went back halts, and settles nothing until a
// person has looked; then what is in the log is settled again, once and in order.
func TestRestoredDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries and a server of its own")
	}
	t.Parallel()
	r := newRestorable(t)
	r.settles("before the backup")
	backup := r.server.backup()
	r.settles("before the point")
	r.server.point("moment")
	r.settles("lost one", "lost two")

	r.server.restore(backup, "moment")
	r.awaitRestored(0, 1)
	r.staysHalted("while it was restored")
	r.recovers(2, "while it was restored")
	r.settles("recovered")

	// Once more to the same moment, while nobody looks: what the processors left in
	// Kafka tells those who come.
	r.stopProcessors()
	r.server.restore(backup, "moment")
	r.startProcessors()
	r.awaitRestored(0, 1)
	r.stopProcessors()
	r.startProcessors()
	r.awaitRestored(0, 1)
	r.staysHalted("while it was restored again")
	r.recovers(3, "while it was restored again")
	r.settles("recovered again")
	r.monedero("verify")
}

// TestStandbyPromoted fails over to an asynchronous standby while processors run. What
// it had not received is settled again once a person has looked; where it had received
// everything, nothing halts.
func TestStandbyPromoted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the real binaries and two servers of its own")
	}
	t.Run("that lagged", func(t *testing.T) {
		t.Parallel()
		r := newRestorable(t)
		second := r.server.standby()
		r.settles("received")
		r.server.caughtUp()
		second.lag()
		r.settles("not received", "nor this")
		r.server.failOver(second)
		r.awaitRestored(0, 1)
		r.staysHalted("after the failover")
		r.recovers(2, "after the failover")
		r.settles("recovered")
		r.monedero("verify")
	})
	t.Run("that had everything", func(t *testing.T) {
		t.Parallel()
		r := newRestorable(t)
		second := r.server.standby()
		r.settles("received")
		r.server.caughtUp()
		r.server.failOver(second)
		r.settles("after the failover")
		for _, x := range r.runners {
			if n := x.metric("monedero_kafka_partition_halted"); n != 0 {
				t.Errorf("%v partitions are halted, and nothing was lost", n)
			}
		}
		if said := r.monedero("recover", "--dry-run"); !strings.Contains(said, "nothing to recover") {
			t.Errorf("recover says\n%s", said)
		}
		r.monedero("verify")
	})
}

// TestOnePartitionRestored: the others are left alone, by the halt and by recover.
func TestOnePartitionRestored(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	r := &restorable{pair: p}
	r.startProcessors()
	p.settlesOne("before")
	p.sql(`create table before as select * from partition_progress where partition = 0`)
	p.settlesOne("after")
	other := p.column("select to_jsonb(g) #>> '{}' from partition_progress g where partition = 1")
	p.sql(`update partition_progress p set (next_offset, settled, last_record, epoch, moved_epoch) =
		(select next_offset, settled, last_record, epoch, moved_epoch from before) where partition = 0`)
	r.awaitRestored(0)
	said := p.monedero("recover", "--yes", "--reason", "one partition")
	if !strings.Contains(said, "1 partitions go on; this is history 2 of the database") {
		t.Errorf("recover says\n%s", said)
	}
	p.goesOn(0)
	if now := p.column("select to_jsonb(g) #>> '{}' from partition_progress g where partition = 1"); !slices.Equal(other, now) {
		t.Errorf("the other partition was %s, and is %s", other, now)
	}
	p.goesOn(1)
	p.monedero("verify")
}
