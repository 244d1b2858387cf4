package ingest

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
)

// Lists that accountants ask for come as CSV too (RFC 4180): all of a list at once, streamed, without pages.
const (
	csvType    = "text/csv"
	csvHeader  = csvType + "; charset=utf-8; header=present"
	streamRows = 1000             // read at once for a list that is streamed
	streamBusy = 10 * time.Second // for how long such a read waits for its turn, once the answer has begun
	streamTurn = 100 * time.Millisecond
)

// tableOutput is a page of a list as JSON, or all of the list as CSV.
type tableOutput struct {
	Link string `header:"Link" doc:"Of JSON: where the next page is, with rel=next; absent: this is the last one (RFC 8288)." example:"</v1/operations?cursor=rVj45R_YF2Y84ThT9NVywISpygYUeVE6hj-wAV9WBFlQvI-iQV2DTrVVGQsjFrC0CJiKoncY-fhO2ZvU8jUaMH91Fo7xmVTagr__Ow>; rel=next"`
	Body func(huma.Context)
}

// asJSON is the answer as JSON.
func asJSON(link string, body any) *tableOutput {
	return &tableOutput{Link: link, Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/json")
		c.SetStatus(http.StatusOK)
		_ = huma.DefaultJSONFormat.Marshal(c.BodyWriter(), body) // the client is gone; there is nobody left to tell
	}}
}

// asCSV is the answer as CSV: a line for each row, with a column for each field. Read reads the
// next rows, and says whether more follow; what goes wrong the first time is answered as a problem, and
// later it breaks the answer off, so that nobody takes it for whole.
func asCSV[T any](ctx context.Context, s *Server, read func(context.Context) (rows []T, more bool, err error)) (*tableOutput, error) {
	if err := s.holdPage(ctx, smallPage+1); err != nil {
		return nil, err
	}
	rows, more, err := read(ctx)
	if err != nil {
		return nil, err
	}
	return &tableOutput{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", csvHeader)
		c.SetStatus(http.StatusOK)
		if c.Method() == http.MethodHead {
			return
		}
		columns := columnsOf(reflect.TypeFor[T]())
		out := csv.NewWriter(c.BodyWriter())
		out.UseCRLF = true
		err := out.Write(names(columns))
		for err == nil {
			err = writeRows(c, out, columns, rows)
			if err != nil || !more {
				break
			}
			rows, more, err = patiently(ctx, read)
		}
		if err != nil {
			s.log.WarnContext(ctx, "CSV broken off", "request_id", requestID(ctx), "err", err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// writeRows sends the rows. Who does not take them within pageTimeout is not waited for.
func writeRows[T any](c huma.Context, out *csv.Writer, columns []column, rows []T) error {
	_, w := humachi.Unwrap(c)
	to := http.NewResponseController(w)
	_ = to.SetWriteDeadline(time.Now().Add(pageTimeout)) // not supported only where there is no connection
	record := make([]string, len(columns))
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for j, column := range columns {
			record[j] = column.text(row)
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("send rows: %w", err)
		}
	}
	if out.Flush(); out.Error() != nil {
		return fmt.Errorf("send rows: %w", out.Error())
	}
	if err := to.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("send rows: %w", err)
	}
	return nil
}

// patiently reads, and waits for its turn: nobody can ask for the rest of an answer alone.
func patiently[T any](ctx context.Context, read func(context.Context) ([]T, bool, error)) (rows []T, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, streamBusy)
	defer cancel()
	for {
		rows, more, err = read(ctx)
		if !errors.Is(err, ErrBusy) {
			return rows, more, err
		}
		select {
		case <-ctx.Done():
			return nil, false, err
		case <-time.After(streamTurn):
		}
	}
}

// column is a field of a row that has a column of its own.
type column struct {
	name  string
	index [][]int // of the field, from one struct to the next
	omit  bool    // zero is none
}

// columnsOf are the columns of a body: one for each field, in their order, those of an object
// within it with its name before theirs. What is tagged csv:"-" has none.
func columnsOf(t reflect.Type) (all []column) {
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || f.Tag.Get("csv") == "-" {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() != reflect.Struct {
			all = append(all, column{name: name, index: [][]int{f.Index}, omit: options == "omitempty" && inner == f.Type})
			continue
		}
		for _, c := range columnsOf(inner) {
			all = append(all, column{name: name + "_" + c.name, index: append([][]int{f.Index}, c.index...), omit: c.omit})
		}
	}
	return all
}

func names(columns []column) []string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.name
	}
	return all
}

// text is the field of the row; empty where there is none. A flat object is written as JSON.
func (c column) text(row reflect.Value) string {
	v := row
	for _, index := range c.index {
		if v = v.FieldByIndex(index); v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return ""
			}
			v = v.Elem()
		}
	}
	switch {
	case c.omit && (v.IsZero() || v.Kind() == reflect.Map && v.Len() == 0):
		return ""
	case v.Kind() == reflect.String:
		return harmless(v.String())
	case v.Kind() == reflect.Map:
		text, _ := json.Marshal(v.Interface()) // of strings: it does not fail
		return string(text)
	}
	return fmt.Sprint(v.Interface())
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// harmless is the text with an apostrophe before it, if a spreadsheet might take it for a formula.
func harmless(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(text)[0]) || wholeNumber.MatchString(text) {
		return text
	}
	return "'" + text
}
