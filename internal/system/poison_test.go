package system

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/record"
)

// oversized is nearly as much as a broker takes, and more than one fetch asks for.
const oversized = 900 << 10

// inVersion is the record's value as another version of the wire format.
func inVersion(value []byte, version int) []byte {
	return bytes.Replace(value, fmt.Appendf(nil, `"version":%d`, record.Version), fmt.Appendf(nil, `"version":%d`, version), 1)
}

// TestPoison puts into the topic what nobody should, all into partition 0, and
// one good charge behind it.
func TestPoison(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	forged := p.charge(p.wallets[0], "forged")
	forged.ID[3]++
	stray := p.record(forged)
	stray.Value = inVersion(stray.Value, 9)
	p.produce(0,
		record.Record{},
		record.Record{Key: []byte("k"), Value: []byte("not ours")},
		record.Record{Value: []byte(`{"version":2,"id":"op_0","amount":1}`)},
		p.record(p.charge(p.wallets[1], "in the wrong partition")),
		p.record(forged),
		stray,
		record.Record{Value: bytes.Repeat([]byte("x"), oversized)},
	)
	p.kafka.Transaction(t, topicName, 0, false, record.Record{Value: []byte("aborted")})
	var refused []string
	long := `"amount":7,"description":"` + strings.Repeat("x", oversized) + `"`
	for _, changed := range []string{
		long,
		`"amount":0`, `"amount":-7`, `"amount":9007199254740992`, `"amount":"7"`, `"amount":7,"amount":-7`,
		`"amount":7,"description":"\u0000"`,
	} {
		charge := p.charge(p.wallets[0], fmt.Sprintf("%.80s", changed))
		r := p.record(charge)
		value := bytes.Replace(r.Value, []byte(`"amount":7,`), []byte(changed+","), 1)
		if bytes.Equal(value, r.Value) {
			t.Fatalf("the record is as it was: %.200s", value)
		}
		r.Value = value
		p.produce(0, r)
		refused = append(refused, charge.ID.String())
	}
	good := p.charge(p.wallets[0], "good")
	p.produce(0, p.record(good))

	p.processor()
	if o, err := p.shop.till.outcome(t.Context(), good.ID.String()); err != nil || o.Status != "accepted" {
		t.Errorf("the charge behind the poison is %s, %v", o.Status, err)
	}
	for _, id := range refused {
		if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Failure.Reason != "processing_error" {
			t.Errorf("operation %s is %s for %q, %v; want a processing error", id, o.Status, o.Failure.Reason, err)
		}
	}
	// Offset 0 is the top-up, at 9 is the marker of the transaction; each dead letter
	// says its place, and whether an operation stands beside it.
	want := []string{
		"1", "2", "3", "4", "5", "6", "7", "8",
		"10 beside", "11 beside", "12 beside", "13 beside", "14 beside", "15 beside", "16 beside",
	}
	letters := p.column("select log_offset || case when operation_id is null then '' else ' beside' end from dead_letters " +
		"where partition = 0 and reason <> '' order by log_offset")
	if diff := cmp.Diff(want, letters); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if n := p.count("select gaps from partition_progress where partition = 0"); n != 1 {
		t.Errorf("%d gaps, want 1", n)
	}
	if n := p.count("select count(*) from dead_letters where log_offset in (7, 10) and length(value) >= " + fmt.Sprint(oversized)); n != 2 {
		t.Errorf("%d oversized payloads are kept, want 2", n)
	}
	t.Log(p.monedero("verify"))
}
