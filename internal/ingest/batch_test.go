package ingest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	batchPath = "/v1/charges/batch"
	lines     = "application/x-ndjson"
)

func asBatch() headers { return headers{"Content-Type": lines} }

// item is a line of a batch.
func (p people) item(key string, amount int) string {
	return fmt.Sprintf(`{"wallet_id":%q,"idempotency_key":%q,"amount":%d,"currency":"EUR"}`, p.wallet, key, amount)
}

// result is a line of the answer.
type result struct {
	Line, Status int
	Operation    struct {
		ID, Status string
		Offset     *int64
	}
	Problem struct {
		Code      string
		Retryable bool
		Errors    []struct{ Location string }
	}
}

func (r result) place() string {
	if len(r.Problem.Errors) == 0 {
		return ""
	}
	return r.Problem.Errors[0].Location
}

func results(t *testing.T, got answer) (all []result) {
	t.Helper()
	got.want(t, http.StatusOK)
	for line := range strings.Lines(got.body) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// TestBatchAnswersEachLine sends charges of every kind of answer in one batch: each gets the one that it
// would get alone, in its turn.
func TestBatchAnswersEachLine(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 1000)
	before := p.shop.post(p.charges(), headers{"Idempotency-Key": "before", "Prefer": "wait=30"}, `{"amount":10,"currency":"EUR"}`).want(t, http.StatusOK)
	long := p.item("long", 1)
	long = long[:len(long)-1] + `,"description":"` + strings.Repeat("x", 64<<10) + `"}`
	batch := []string{
		p.item("a", 1),
		`{"wallet_id":`,
		"",
		`{"wallet_id":"` + p.wallet + `","amount":2,"currency":"EUR","invoice":"INV-1"}`,
		`{"wallet_id":"` + p.wallet + `","amount":2,"currency":"EUR"}`,
		`{"wallet_id":"wal_nonsense","idempotency_key":"b","amount":2,"currency":"EUR"}`,
		`{"idempotency_key":"b","amount":0,"currency":"EUR"}`,
		long,
		`{"wallet_id":"` + p.wallet + `","idempotency_key":"c","amount":3,"currency":"EUR","metadata":{"till":"3"}}`,
	}
	got := results(t, p.shop.post(batchPath, asBatch(), strings.Join(batch, "\n")))
	var said []string
	for _, r := range got {
		said = append(said, strings.TrimSpace(fmt.Sprintln(r.Line, r.Status, r.Operation.Status, r.Problem.Code, r.place())))
	}
	want := []string{
		"1 202 pending", "2 400  malformed_json", "4 202 pending",
		"5 422  invalid_request body.idempotency_key", "6 422  invalid_request body.wallet_id", "7 422  invalid_request body.wallet_id", "8 413  body_too_large",
		"9 202 pending",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	alone := p.shop.post(p.charges(), headers{"Prefer": "wait=30"}, `{"amount":2,"currency":"EUR","invoice":"INV-1"}`).want(t, http.StatusOK)
	if alone.text("id") != got[2].Operation.ID || alone.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a charge of a batch, sent again alone: %v %s", alone.header, alone.body)
	}
	p.shop.do(http.MethodGet, "/v1/operations/"+got[7].Operation.ID, headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
	if balance := p.payer.get("/v1/wallets/" + p.wallet).text("balance"); balance != "984" {
		t.Errorf("the balance is %s", balance)
	}
	for amount, want := range map[int]string{10: "200 accepted " + before.text("id"), 11: "422 idempotency_key_reused"} {
		s.awaitLookUps()
		r := results(t, p.shop.post(batchPath, asBatch(), p.item("before", amount)))[0]
		s.queue.before.Store(nil)
		if said := strings.TrimSpace(fmt.Sprint(r.Status, " ", r.Operation.Status, r.Problem.Code, " ", r.Operation.ID)); said != want {
			t.Errorf("a charge that was sent before: %s, want %s", said, want)
		}
	}
	for name, refused := range map[string]answer{
		"415": p.shop.post(batchPath, nil, p.item("x", 1)), "400": p.shop.do(http.MethodPost, batchPath, asBatch(), ""),
	} {
		if fmt.Sprint(refused.status) != name {
			t.Errorf("want %s, got %d %s", name, refused.status, refused.body)
		}
	}
}

// open is a batch whose lines are sent and answered one by one.
type open struct {
	t    *testing.T
	send *io.PipeWriter
	got  *bufio.Reader
	body io.Closer
}

// batch opens a batch with its first lines.
func (a *api) batch(t *testing.T, first string) *open {
	t.Helper()
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.base+batchPath, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Content-Type", lines)
	go func() { _, _ = io.WriteString(w, first+"\n") }()
	resp, err := a.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatal("batch:", resp.Status)
	}
	t.Cleanup(func() { _ = resp.Body.Close(); _ = w.Close() })
	return &open{t, w, bufio.NewReader(resp.Body), resp.Body}
}

func (o *open) line(text string) {
	o.t.Helper()
	if _, err := io.WriteString(o.send, text+"\n"); err != nil {
		o.t.Fatal(err)
	}
}

// next is the next result; nil at the end.
func (o *open) next() *result {
	o.t.Helper()
	line, err := o.got.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil
	}
	var r result
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		o.t.Fatalf("%v: %s", err, line)
	}
	return &r
}

// TestBatchIsAnsweredWhileItIsSent sends each line only once the one before is answered.
func TestBatchIsAnsweredWhileItIsSent(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	o := p.shop.batch(t, p.item("1", 1))
	for i := 1; i <= 50; i++ {
		if r := o.next(); r == nil || r.Line != i || r.Status != http.StatusAccepted {
			t.Fatalf("line %d: %+v", i, r)
		}
		if i < 50 {
			o.line(p.item(fmt.Sprint(i+1), 1))
		}
	}
	_ = o.send.Close()
	if r := o.next(); r != nil {
		t.Errorf("an answer to nothing: %+v", r)
	}
	// The connection, or another one, goes on.
	p.shop.post(batchPath, asBatch(), p.item("51", 1)).want(t, http.StatusOK)
}

// TestBatchKeepsTheOrderOfWallets sends charges of some wallets, mixed, while all of them are on their way at once.
func TestBatchKeepsTheOrderOfWallets(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	ada, bob := s.people("Ada"), s.people("Bob")
	const each = 300
	var batch strings.Builder
	for i := range each {
		fmt.Fprintln(&batch, ada.item(fmt.Sprint("a", i), i+1))
		fmt.Fprintln(&batch, bob.item(fmt.Sprint("b", i), i+1))
	}
	got := results(t, ada.shop.post(batchPath, asBatch(), batch.String()))
	if len(got) != 2*each {
		t.Fatalf("%d results", len(got))
	}
	last := [2]int64{-1, -1}
	for i, r := range got {
		if r.Status != http.StatusAccepted || r.Line != i+1 {
			t.Fatalf("line %d: %+v", i+1, r)
		}
		if at := *r.Operation.Offset; at <= last[i%2] {
			t.Fatalf("line %d lies at %d, behind %d", i+1, at, last[i%2])
		} else {
			last[i%2] = at
		}
	}
	s.settle()
	ada.shop.do(http.MethodGet, "/v1/operations/"+got[2*each-2].Operation.ID, headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
	page := s.operator.get("/v1/operations?limit=200&wallet_id="+ada.wallet).want(t, http.StatusOK)
	for i, o := range page.get("data").([]any) {
		if amount := fmt.Sprint(o.(map[string]any)["amount"]); amount != fmt.Sprint(each-i) {
			t.Fatalf("the %dth newest charge is that of %s", i, amount)
		}
	}
}

// TestBatchSentAgain breaks a batch off in the middle of an item, and sends it again: each charge once.
func TestBatchSentAgain(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 100_000)
	const n = 200
	var batch strings.Builder
	for i := range n {
		fmt.Fprintln(&batch, p.item(fmt.Sprint(i), 1))
	}
	conn := dial(t, s.operator.base)
	// What arrives ends with an object that is whole, but not with its line.
	text := batch.String()
	half := text[:strings.Index(text[len(text)/2:], "\n")+len(text)/2]
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		batchPath, p.shop.key, lines, len(text), half)
	eventually(t, func() bool { return s.produced() > 1 })
	_ = conn.Close()
	time.Sleep(100 * time.Millisecond) // however much of it was taken
	for range 2 {
		got := results(t, p.shop.post(batchPath, asBatch(), text))
		if len(got) != n {
			t.Fatalf("%d results", len(got))
		}
		for _, r := range got {
			if r.Status/100 != 2 {
				t.Fatalf("%+v", r)
			}
		}
		p.shop.do(http.MethodGet, "/v1/operations/"+got[n-1].Operation.ID, headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
	}
	if balance := p.payer.get("/v1/wallets/" + p.wallet).text("balance"); balance != fmt.Sprint(100_000-n) {
		t.Errorf("the balance is %s after %d charges of 1", balance, n)
	}
}

// TestBatchNeedsTheWholeLine breaks a body off behind an object that is whole: it may be the beginning of another one.
func TestBatchNeedsTheWholeLine(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	conn := dial(t, s.operator.base)
	text := p.item("1", 1) + "\n" + p.item("2", 1)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		batchPath, p.shop.key, lines, len(text)+1, text)
	_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	said, _ := io.ReadAll(conn)
	if !strings.Contains(string(said), `{"line":2,"status":400,`) {
		t.Errorf("%s", said)
	}
	if n := s.produced(); n != 1 {
		t.Errorf("%d charges were taken", n)
	}
}

// TestBatchIsRefusedInTheMiddle lets the queue fail for one wallet, and the key's rate end: the stream goes on, what is
// behind is not taken, and other wallets' charges are.
func TestBatchIsRefusedInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	ada := s.people("Ada")
	bob := ada
	for i := 0; partitionOf(t, bob.wallet) == partitionOf(t, ada.wallet); i++ {
		bob = s.people(fmt.Sprint("Bob", i))
	}
	var n atomic.Int64
	s.queue.before.Store(ptr(func(context.Context) error {
		if n.Add(1) == 2 { // Ada's second
			return errShut
		}
		return nil
	}))
	got := results(t, ada.shop.post(batchPath, asBatch(), strings.Join([]string{
		ada.item("1", 1), ada.item("2", 1), ada.item("3", 1), bob.item("4", 1), ada.item("5", 0),
	}, "\n")))
	s.queue.before.Store(nil)
	for i, want := range []int{202, 503, 503, 202, 422} {
		if got[i].Status != want || got[i].Problem.Retryable != (want == 503) {
			t.Errorf("line %d: %+v, want %d", i+1, got[i], want)
		}
	}
	if n.Load() != 3 {
		t.Errorf("%d were handed to the queue", n.Load())
	}

	slow := s.operator.with(s.operator.post("/v1/api-keys", nil, `{"role":"merchant","merchant_id":"`+ada.merchant+`","name":"slow","rate":5}`).want(t, http.StatusCreated).text("secret"))
	var batch strings.Builder
	for i := range 20 {
		fmt.Fprintln(&batch, bob.item(fmt.Sprint("r", i), 1))
	}
	taken := 0
	for i, r := range results(t, slow.post(batchPath, asBatch(), batch.String())) {
		switch {
		case r.Status == http.StatusAccepted && taken == i:
			taken++
		case r.Status != http.StatusTooManyRequests || r.Problem.Code != "rate_limited":
			t.Errorf("line %d: %+v", i+1, r)
		}
	}
	if taken != 5 { // the clock stands still
		t.Errorf("%d of 20 were taken under a rate of 5", taken)
	}
}

// TestBatchPanics lets the queue panic for one item: the others are taken.
func TestBatchPanics(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	var n atomic.Int64
	s.queue.before.Store(ptr(func(context.Context) error {
		if n.Add(1) == 2 {
			panic("secret")
		}
		return nil
	}))
	got := results(t, p.shop.post(batchPath, asBatch(), p.item("1", 1)+"\n"+p.item("2", 1)+"\n"+p.item("3", 1)))
	for i, want := range []int{202, 500, 202} {
		if got[i].Status != want {
			t.Errorf("line %d: %+v, want %d", i+1, got[i], want)
		}
	}
}

// TestBatchEndsWithTheService stops the service in the middle of a batch: its last line says so.
func TestBatchEndsWithTheService(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	base, stop := s.serveUntil()
	o := p.shop.at(base).batch(t, p.item("1", 1))
	if r := o.next(); r.Status != http.StatusAccepted {
		t.Fatalf("%+v", r)
	}
	stopped := make(chan error, 1)
	start := time.Now()
	go func() { stopped <- stop() }()
	if r := o.next(); r == nil || r.Line != 2 || r.Status != http.StatusServiceUnavailable || r.Problem.Code != "draining" || !r.Problem.Retryable {
		t.Errorf("%+v", r)
	}
	if r := o.next(); r != nil {
		t.Errorf("behind the end: %+v", r)
	}
	if err := <-stopped; err != nil || time.Since(start) > 20*time.Second {
		t.Errorf("stop: %v after %v", err, time.Since(start))
	}
}

// TestBatchIsBounded sends more items than a batch may hold: those up to the bound are taken, and the next line says why
// no more are.
func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	var batch strings.Builder
	for i := range 10_005 {
		fmt.Fprintln(&batch, p.item(fmt.Sprint(i), 1))
	}
	got := results(t, p.shop.post(batchPath, asBatch(), batch.String()))
	if len(got) != 10_001 {
		t.Fatalf("%d results", len(got))
	}
	for i, r := range got {
		want := http.StatusAccepted
		if i == 10_000 {
			want = http.StatusRequestEntityTooLarge
		}
		if r.Status != want || r.Line != i+1 {
			t.Fatalf("line %d: %+v", i+1, r)
		}
	}
	if n := s.produced(); n != 10_000 {
		t.Errorf("%d were taken", n)
	}

	spaces := strings.Repeat(strings.Repeat(" ", 60<<10)+"\n", 300)
	got = results(t, p.shop.post(batchPath, asBatch(), p.item("0", 1)+"\n"+spaces+p.item("1", 1)))
	if len(got) != 2 || got[0].Status != http.StatusAccepted || got[1].Status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than 16 MiB: %+v", got)
	}
}

func partitionOf(t *testing.T, wallet string) int {
	t.Helper()
	id, err := ledger.ParseWalletID(wallet)
	if err != nil {
		t.Fatal(err)
	}
	return id.Partition(partitions)
}
