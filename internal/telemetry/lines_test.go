package telemetry_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/telemetry"
)

func TestLinesAreWrittenInOrder(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	lines := telemetry.NewLines(&out)
	log := telemetry.NewLogger(lines, nil, "text", "ingest")
	for i := range 500 {
		log.Info("line", "number", i)
	}
	lines.Close()
	lines.Close()
	if n := strings.Count(out.String(), "msg=line"); n != 500 || !strings.HasSuffix(out.String(), "number=499\n") || lines.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", n, lines.Dropped())
	}
}

// Nobody waits for a reader that does not read: what it misses is counted.
func TestLinesThatNobodyReads(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	lines := telemetry.NewLines(writer)
	log := telemetry.NewLogger(lines, nil, "json", "ingest")
	began := time.Now()
	for range 5000 {
		log.Info("line")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := lines.Dropped(); n < 3900 {
		t.Errorf("%d dropped", n)
	}
	_ = reader.CloseWithError(errors.New("the reader is gone"))
	lines.Close()
	if n := lines.Dropped(); n != 5000 {
		t.Errorf("%d dropped in the end", n)
	}
}
