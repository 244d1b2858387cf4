package ingest_test

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// maxBatchMemory is what a batch may take of the heap, whatever it holds and however it is read.
const maxBatchMemory = 768 << 10

// TestBatchesAreBoundedInMemory has a hundred batches sent by callers who read no answer, each with items whose
// answers are many times as large as they: nothing more is read of them, each takes as little as one, and none of them keeps
// a seat. It runs alone: what it measures is the whole process.
//
//nolint:paralleltest // see above
func TestBatchesAreBoundedInMemory(t *testing.T) {
	const batches = 100
	s := newStack(t)
	p := s.people("Ada")
	queue := &memory{} // Kafka runs in this process, too, and would keep what it is given
	base := s.serveWith(queue)
	text := strings.Repeat(`{"`+strings.Repeat(`":1,"`, 98)+`":1}`+strings.Repeat(" ", 2<<10)+"\n"+p.item("x", 1)+"\n", 5000)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		batchPath, p.shop.key, lines, len(text))
	p.shop.at(base).post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	before := heap()
	conns := make([]net.Conn, batches)
	var wg sync.WaitGroup
	for i := range conns {
		conns[i] = dial(t, base)
		wg.Go(func() {
			_ = conns[i].SetWriteDeadline(time.Now().Add(slowly * 4 * time.Second)) // the server gives up after ten
			if _, err := conns[i].Write([]byte(head)); err != nil {
				t.Error("the head of a batch:", err)
			}
			for rest := text; rest != ""; {
				n := min(len(rest), 16<<10)
				if _, err := conns[i].Write([]byte(rest[:n])); err != nil {
					return // held back
				}
				rest = rest[n:]
			}
			t.Error("a batch was read as a whole, though nobody took its answer")
		})
	}
	wg.Wait()
	if took := (heap() - before) / batches; took > maxBatchMemory {
		t.Errorf("a batch takes %d KiB", took>>10)
	} else {
		t.Logf("a batch takes %d KiB; %d items were taken of %d", took>>10, queue.offset.Load(), batches*5000)
	}
	// Nobody waits for those who do not read.
	p.shop.at(base).post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	got := results(t, p.shop.at(base).post(batchPath, asBatch(), p.item("y", 1)))
	if got[0].Status != http.StatusAccepted {
		t.Errorf("%+v", got[0])
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// heap is what is reachable in the heap.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestBatchesShareSeats sends more batches at once than their owner may have seats for all their items: items wait for
// seats, and all of them are taken.
func TestBatchesShareSeats(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			var batch strings.Builder
			for j := range 100 {
				fmt.Fprintln(&batch, p.item(fmt.Sprint(i, " ", j), 1))
			}
			got, err := p.shop.try(t.Context(), http.MethodPost, batchPath, asBatch(), batch.String())
			if err != nil || strings.Count(got.body, `"status":202`) != 100 {
				t.Errorf("%v, %d of 100 were taken: %.500s", err, strings.Count(got.body, `"status":202`), got.body)
			}
		})
	}
	wg.Wait()
}

// TestBatchOfASlowReaderEnds sends a batch and takes nothing of its answer: the connection ends in time.
func TestBatchOfASlowReaderEnds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	s := newStack(t)
	p := s.people("Ada")
	conn := dial(t, s.operator.base)
	text := strings.Repeat(`{"`+strings.Repeat(`":1,"`, 98)+`":1}`+"\n", 10_000)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		batchPath, p.shop.key, lines, len(text))
	start := time.Now()
	if _, err := conn.Write([]byte(text)); err == nil {
		t.Fatal("all of it was read")
	}
	if took := time.Since(start); took < 8*time.Second || took > patience {
		t.Errorf("it ended after %v", took)
	}
}
