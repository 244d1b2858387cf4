package system

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

const groupName = "monedero-processor"

// TestWhatKafkaForgetsDoesNotDecide: where a partition goes on is written in the
// database alone.
func TestWhatKafkaForgetsDoesNotDecide(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(p *pair, running *process){
		"the group was deleted": func(p *pair, running *process) {
			running.terminate()
			p.deleteGroup()
		},
		"committed offsets moved back": func(p *pair, running *process) {
			running.terminate()
			p.commitOffsets(0)
		},
		"committed offsets moved beyond the end": func(p *pair, running *process) {
			running.terminate()
			p.commitOffsets(1000)
		},
		"retention took all that was settled, while nobody looked": func(p *pair, running *process) {
			running.terminate()
			p.expire()
		},
		"retention took all that was settled, of an idle partition": func(p *pair, _ *process) {
			p.expire()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			running := p.processor()
			p.settlesOne("before")
			happens(p, running)
			select {
			case <-running.ended:
				running = p.processor()
			default:
			}
			p.settlesOne("after")
			if n := running.metric("monedero_kafka_partition_halted"); n != 0 {
				t.Errorf("%v partitions are halted", n)
			}
			counted := p.column("select sum(settled) || ' settled, ' || sum(duplicates) || ' duplicates, ' || sum(gaps) || ' gaps' from partition_progress")
			if diff := cmp.Diff([]string{"6 settled, 0 duplicates, 0 gaps"}, counted); diff != "" {
				t.Errorf("each top-up and charge counts once (-want +got):\n%s", diff)
			}
			t.Log(p.monedero("verify"))
		})
	}
}

// settlesOne charges both wallets.
func (p *pair) settlesOne(key string) {
	p.t.Helper()
	for _, w := range p.wallets {
		id, err := p.shop.till.charge(p.t.Context(), w.String(), key, 1)
		p.must(err)
		if o, err := p.shop.till.outcome(p.t.Context(), id); err != nil || o.Status != "accepted" {
			p.t.Fatalf("%s: the charge is %s, %v", key, o.Status, err)
		}
	}
}

func (p *pair) deleteGroup() {
	p.t.Helper()
	request := kmsg.NewPtrDeleteGroupsRequest()
	request.Groups = []string{groupName}
	answer := p.kafka.Request(p.t, 1, request).(*kmsg.DeleteGroupsResponse)
	if code := answer.Groups[0].ErrorCode; code != 0 {
		p.t.Fatalf("delete the group: error code %d", code)
	}
}

// commitOffsets writes the offset as the group's of both partitions.
func (p *pair) commitOffsets(offset int64) {
	p.t.Helper()
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Generation = groupName, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topicName
	for i := range p.wallets {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = int32(i), offset
		rt.Partitions = append(rt.Partitions, rp)
	}
	request.Topics = append(request.Topics, rt)
	answer := p.kafka.Request(p.t, 2, request).(*kmsg.OffsetCommitResponse)
	for _, partition := range answer.Topics[0].Partitions {
		if partition.ErrorCode != 0 {
			p.t.Fatalf("commit offsets: error code %d", partition.ErrorCode)
		}
	}
}

// expire deletes every record that was settled.
func (p *pair) expire() {
	p.t.Helper()
	for i := range p.wallets {
		next := p.column("select next_offset::text from partition_progress where partition = " + strconv.Itoa(i))
		offset, err := strconv.ParseInt(next[0], 10, 64)
		p.must(err)
		p.kafka.DeleteRecords(p.t, topicName, i, offset)
	}
}

// TestFloodOfRefusedData lets the database refuse more of one partition's data
// than can be a coincidence: that partition halts, and the other one goes on.
func TestFloodOfRefusedData(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.sql(`create function refuse() returns trigger language plpgsql as $$ begin
		if new.idempotency_key like 'bad %' then raise exception 'refused' using errcode = '22P05'; end if;
		return new;
	end $$`)
	p.sql("create trigger refuse before insert on operations for each row execute function refuse()")
	var bad []ledger.Request
	for i := range processor.FloodLimit + 5 {
		bad = append(bad, p.charge(p.wallets[0], fmt.Sprint("bad ", i)))
		p.produce(0, p.record(p.charge(p.wallets[0], fmt.Sprint("good ", i))), p.record(bad[i]))
	}
	running := p.processor()
	running.await(`monedero_kafka_partition_halted{partition="0"} 1`)
	running.awaitOutput("more than 10 processing errors")
	// One is too many; what stands before it is settled.
	for i, r := range bad {
		want := []string{"processing_error"}
		if i > processor.FloodLimit {
			want = []string{}
		}
		got := p.column("select reason from operations where idempotency_key is null and id = '" + uuidText(r.ID) + "'")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("bad request %d (-want +got):\n%s", i, diff)
		}
	}
	good := p.column("select coalesce(reason, 'accepted') || ' ' || count(*) from operations where idempotency_key like 'good %' group by reason")
	if diff := cmp.Diff([]string{"accepted 11"}, good); diff != "" {
		t.Errorf("good requests between them (-want +got):\n%s", diff)
	}
	id, err := p.shop.till.charge(t.Context(), p.wallets[1].String(), "beside", 1)
	p.must(err)
	if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
		t.Errorf("a charge in the other partition is %s, %v", o.Status, err)
	}
	t.Log(p.monedero("verify"))
}

func uuidText(id ledger.OperationID) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
