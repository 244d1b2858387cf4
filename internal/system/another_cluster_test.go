package system

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/proxytest"
	"github.com/monedero/monedero/internal/record"
)

// TestBoundToAnotherCluster walks docs/playbooks/another-cluster.md: the cluster is lost
// for good, and a person binds the database to another one.
func TestBoundToAnotherCluster(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	other := kafkatest.Start(t)
	cluster, err := other.Client(t).Describe(t.Context(), topicName)
	p.must(err)
	pending, err := p.shop.till.charge(t.Context(), p.wallets[0].String(), "pending", 1)
	p.must(err)
	p.env = append(p.env[:len(p.env):len(p.env)], "KAFKA_BROKERS="+strings.Join(other.Brokers, ","))
	refused := func(want string, args ...string) {
		t.Helper()
		_, err := built.run(t, p.env, "monedero", append([]string{"topics"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("topics %v: %v; want %q", args, err, want)
		}
		if found, err := other.Client(t).Describe(t.Context(), topicName); err != nil || found.Partitions != 0 {
			t.Errorf("topics %v left %d partitions behind, %v", args, found.Partitions, err)
		}
	}
	bind := []string{"bind", "--cluster", cluster.ClusterID, "--reason", "the old one burnt down"}
	refused("the database belongs to the cluster", "create")
	refused("--yes goes on", bind...)
	refused("lead to the cluster", "bind", "--cluster", "another", "--reason", "x", "--yes")
	refused("services are connected", append(bind, "--yes")...)
	p.served.terminate()
	p.monedero(append(append([]string{"topics"}, bind...), "--yes")...)
	p.monedero("topics", "create") // changes nothing
	if said := p.monedero("audit", "--about", "cluster_id"); !strings.Contains(said, "cluster_id") || !strings.Contains(said, cluster.ClusterID) ||
		!strings.Contains(said, "the old one burnt down") || strings.Count(said, "\n") != 1 {
		t.Errorf("audit shows\n%s", said)
	}

	settler := p.processor()
	settler.await(`monedero_kafka_partition_halted{partition="0"} 1`)
	out := p.monedero("partitions", "set-progress", "--all-halted", "--offset", "start", "--new-log", "--reason", "another cluster", "--yes")
	if strings.Count(out, "is at log 2, offset 0 now") != 2 {
		t.Errorf("set-progress says\n%s", out)
	}
	_, operator := p.ingest()
	p.shop.till = operator.as(p.shop.till.key)
	for i := range p.wallets {
		p.goesOn(i)
	}
	again, err := p.shop.till.charge(t.Context(), p.wallets[0].String(), "pending", 1)
	p.must(err)
	if o, err := p.shop.till.outcome(t.Context(), again); err != nil || o.Status != "accepted" || again != pending {
		t.Errorf("the charge that was lost and sent again is %s, %v; %s was %s", o.Status, err, again, pending)
	}
	p.monedero("verify")
}

// TestALongMoveIsBrokenOff: a move of three slices loses its connection in the second
// one. Until it is given again the partition stays halted, for a processor and for whoever
// looks.
func TestALongMoveIsBrokenOff(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	newer := p.record(p.charge(p.wallets[0], "newer"))
	newer.Value = inVersion(newer.Value, record.Version+1)
	p.produce(0, newer)
	p.produce(0, slices.Repeat([]record.Record{notOurs}, 2*ledger.MaxBatch)...)
	p.produce(0, p.record(p.charge(p.wallets[0], "first")))
	const to, second = 2 + 2*ledger.MaxBatch, 1 + 2*ledger.MaxBatch // where the second slice ends
	settler := p.processor()
	settler.await(`monedero_kafka_partition_halted{partition="0"} 1`)
	proxy, env := p.behind()
	proxy.CutAt(proxytest.ToServer, proxytest.Before(fmt.Sprintf(`"offset":"%d"`, second)))
	args := setProgressArgs([]string{"--offset", fmt.Sprint(to)})
	out, err := built.run(t, append(p.env[:len(p.env):len(p.env)], env), "monedero", args...)
	const unfinished = "a move of the progress to offset 2002 is not finished"
	if err == nil || !strings.Contains(err.Error(), "to come to offset 2002") || !strings.Contains(out, "passed over 1000 offsets: 1 failed operations, 999 dead letters") {
		t.Errorf("broken off it says %v\n%s", err, out)
	}
	settler.awaitOutput(unfinished)
	if list := p.awaitPartitions(unfinished); !strings.Contains(list, unfinished) {
		t.Errorf("monedero partitions does not say so:\n%s", list)
	}
	p.monedero("verify")
	if out := p.setProgress("--offset", fmt.Sprint(to)); !strings.Contains(out, "passed over 1001 offsets: 0 failed operations, 1001 dead letters") {
		t.Errorf("given again:\n%s", out)
	}
	settler.await(`monedero_kafka_partition_halted{partition="0"} 0`)
	if got := p.outcome("first"); got != "accepted" {
		t.Errorf("the charge behind it is %s", got)
	}
	p.nothingPending()
	p.monedero("verify")
}

// TestSetProgressShowsAndAsks: what would be passed over is counted first, and nothing
// is done without a yes.
func TestSetProgressShowsAndAsks(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	newer := p.record(p.charge(p.wallets[0], "newer"))
	newer.Value = inVersion(newer.Value, record.Version+1)
	p.produce(0, newer, notOurs, p.record(p.charge(p.wallets[0], "first")))
	settler := p.processor()
	settler.await(`monedero_kafka_partition_halted{partition="0"} 1`)
	p.awaitPartitions("halted since")

	const look = "select next_offset::text from partition_progress order by partition"
	before := strings.Join(p.column(look), " ")
	unasked := []string{"partitions", "set-progress", "--partition", "0", "--offset", "end", "--reason", "a test"}
	out, err := built.run(t, p.env, "monedero", unasked...)
	const would = "would pass over 3 offsets: 2 failed operations, 1 dead letters, 0 had their outcome before"
	if err == nil || !strings.Contains(err.Error(), "--yes goes on") || !strings.Contains(out, would) {
		t.Errorf("without a terminal and a yes: %v\n%s", err, out)
	}
	if out := p.monedero(append(unasked, "--dry-run", "--yes")...); !strings.Contains(out, would) || !strings.Contains(out, "would be at log 1, offset 4") {
		t.Errorf("a dry run says\n%s", out)
	}
	if after := strings.Join(p.column(look), " "); after != before {
		t.Errorf("the progress was %s, and is %s", before, after)
	}
	out = p.monedero("partitions", "set-progress", "--all-halted", "--offset", "+1", "--reason", "a test", "--yes")
	if !strings.Contains(out, "passed over 1 offsets: 1 failed operations") || strings.Contains(out, "partition 1") {
		t.Errorf("one record of the halted partition is passed over:\n%s", out)
	}
	settler.await(`monedero_kafka_partition_halted{partition="0"} 0`)
	if got := p.outcome("first"); got != "accepted" {
		t.Errorf("the charge behind it is %s", got)
	}
	if out := p.monedero("partitions", "set-progress", "--all-halted", "--offset", "+1", "--reason", "a test", "--yes"); !strings.Contains(out, "no partition is halted") {
		t.Errorf("with nothing halted: %s", out)
	}
	p.monedero("verify")
}
