package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchShare: what the partitions of a member hold together is bounded, down to
// what a fetch needs.
func TestFetchShare(t *testing.T) {
	t.Parallel()
	for partitions, want := range map[int]int64{0: 1 << 20, 1: 1 << 20, 8: 1 << 20, 16: 512 << 10, 64: 128 << 10, 128: 64 << 10, 256: 64 << 10} {
		if got := fetchSizeFor(partitions); got != want {
			t.Errorf("%d partitions: %d bytes", partitions, got)
		}
	}
}

func TestAnswerIsReadPartitionByPartition(t *testing.T) {
	t.Parallel()
	const asked = 7
	partition := func(number int32, code int16, highWatermark int64, set string) (p kmsg.FetchResponseTopicPartition) {
		p.Partition, p.ErrorCode, p.HighWatermark, p.RecordBatches = number, code, highWatermark, []byte(set)
		return p
	}
	aborted := partition(8, 0, 30, "set")
	aborted.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, 2)
	response := kmsg.FetchResponse{Version: fetchVersion, Topics: []kmsg.FetchResponseTopic{{
		Topic: "t", Partitions: []kmsg.FetchResponseTopicPartition{
			partition(3, 0, 10, ""), aborted, partition(0, int16(kafkago.NotLeaderForPartition), -1, ""),
		},
	}}}
	body := response.AppendTo([]byte{0, 0, 0, asked})

	got, err := readAnswer(body, asked)
	if err != nil {
		t.Fatal(err)
	}
	want := []answered{
		{partition: 3, highWatermark: 10},
		{partition: 8, highWatermark: 30, set: []byte("set")},
		{partition: 0, highWatermark: -1, err: kafkago.NotLeaderForPartition},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(answered{}), cmpopts.EquateErrors()); diff != "" {
		t.Error(diff)
	}
	if _, err := readAnswer(body, asked+1); err == nil {
		t.Error("the answer to another request was taken")
	}
	for n := range body {
		if _, err := readAnswer(body[:n], asked); err == nil {
			t.Errorf("%d of %d bytes were taken for an answer", n, len(body))
		}
	}
}
