package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const guide = "../../docs/api.md"

// example is a block of commands in the guide, and the answer that the guide shows of it, if any.
type example struct {
	line             int // of the guide
	commands, answer string
}

// examples are those of the guide: each block that is marked as sh, with the block behind it that is marked as json, or as nothing.
func examples(t *testing.T) (all []example) {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	language, block, from := "", []string(nil), 0
	for i, line := range strings.Split(string(text), "\n") {
		mark, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && from == 0:
			language, block, from = mark, nil, i+2
		case fence:
			whole := strings.Join(block, "\n") + "\n"
			switch language {
			case "sh":
				all = append(all, example{line: from, commands: whole})
			case "", "json":
				if len(all) == 0 || all[len(all)-1].answer != "" {
					t.Errorf("%s:%d: an answer without commands before it", guide, from)
					break
				}
				all[len(all)-1].answer = whole
			default:
				t.Errorf("%s:%d: neither commands nor an answer: %q", guide, from, language)
			}
			from = 0
		default:
			block = append(block, line)
		}
	}
	return all
}

// TestGuide runs every example of the API guide as it is written, one after the other in one shell, with curl against the real
// thing, and compares the answers that the guide shows. A request must succeed, unless the guide shows its failure.
func TestGuide(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("the examples of the guide need curl: ", err)
	}
	s := newStack(t)
	s.settle()
	folder := t.TempDir()
	// Beside what curl prints, it says what came of each request.
	wrapper := fmt.Sprintf("#!/bin/sh\nexec %s --show-error --max-time 60 -w '%%{stderr}%%{http_code} %%{method} %%{url_effective}\\n' \"$@\" 2>>\"$SAID\"\n", curl)
	if err := os.WriteFile(filepath.Join(folder, "curl"), []byte(wrapper), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	all := examples(t)
	var script strings.Builder
	script.WriteString("set -u\n")
	for i, x := range all {
		fmt.Fprintf(&script, "export SAID=%[1]d.said\n: > $SAID\n{\n%[2]s} > %[1]d.out\n", i, x.commands)
	}
	sh := exec.CommandContext(t.Context(), "/bin/sh", "-c", script.String())
	sh.Dir = folder
	sh.Env = append(os.Environ(), "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"), "API_URL="+s.operator.base, "OPERATOR_KEY="+s.operator.key)
	sh.WaitDelay = time.Second
	if out, err := sh.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the shell: %v: %s", err, out)
	}
	if len(all) < 10 {
		t.Errorf("the guide has %d examples", len(all))
	}
	read := func(i int, kind string) string {
		text, err := os.ReadFile(filepath.Join(folder, fmt.Sprint(i, ".", kind)))
		if err != nil {
			t.Errorf("%s:%d: the example was not run: %v", guide, all[i].line, err)
		}
		return string(text)
	}
	for i, x := range all {
		at := fmt.Sprint(guide, ":", x.line)
		said, out := read(i, "said"), read(i, "out")
		requests := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
		if said == "" {
			requests = nil
		}
		if want := len(regexp.MustCompile(`\bcurl -`).FindAllString(x.commands, -1)); len(requests) != want {
			t.Errorf("%s: %d requests of %d were made:\n%s", at, len(requests), want, said)
		}
		for n, request := range requests {
			shown := n == len(requests)-1 && x.answer != "" // then the answer says which status it has
			if !strings.HasPrefix(request, "2") && !(shown && strings.HasPrefix(request, "4")) {
				t.Errorf("%s: %s\n%s", at, request, out)
			}
		}
		if x.answer == "" {
			continue
		}
		for _, difference := range compareAnswers(x.answer, out) {
			t.Errorf("%s: %s; it was answered\n%s", at, difference, out)
		}
	}
}

// compareAnswers says where an answer is not what the guide shows.
func compareAnswers(shown, got string) (differences []string) {
	say := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	if head, body, ok := strings.Cut(shown, "\n\n"); ok && strings.HasPrefix(head, "HTTP/") {
		gotHead, gotBody, _ := strings.Cut(strings.ReplaceAll(got, "\r\n", "\n"), "\n\n")
		for line := range strings.Lines(head) {
			if !slices.ContainsFunc(strings.Split(gotHead, "\n"), func(l string) bool { return alike(strings.TrimSpace(line), strings.TrimSpace(l)) }) {
				say("there is no line %q", line)
			}
		}
		shown, got = body, gotBody
	}
	want, err := values(shown)
	if err != nil || len(want) == 0 {
		say("what the guide shows is not JSON: %v", err)
		return differences
	}
	have, err := values(got)
	if err != nil || len(have) < len(want) {
		say("%d values, want %d: %v", len(have), len(want), err)
		return differences
	}
	have = have[len(have)-len(want):] // of the last requests
	for i := range want {
		compareValues("", want[i], have[i], say)
	}
	return differences
}

func values(text string) (all []any, err error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

var (
	guideTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+Z$`)
	guideID   = regexp.MustCompile(`\.\.\.`)
)

// alike reports whether a text is what the guide shows, where ... stands for anything.
func alike(shown, got string) bool {
	pattern := strings.Join(mapped(guideID.Split(shown, -1), regexp.QuoteMeta), `\S+`)
	return regexp.MustCompile("^"+pattern+"$").MatchString(got) || guideTime.MatchString(shown) && guideTime.MatchString(got)
}

func mapped(texts []string, f func(string) string) (all []string) {
	for _, text := range texts {
		all = append(all, f(text))
	}
	return all
}

// compareValues says where a value is not what the guide shows. Where a record lies differs from time to time.
func compareValues(place string, shown, got any, say func(string, ...any)) {
	switch want := shown.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(have))) {
			say("%s has the fields %v, shown are %v", place, slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)))
			return
		}
		for name, value := range want {
			compareValues(place+"."+name, value, have[name], say)
		}
	case []any:
		have, ok := got.([]any)
		if !ok || len(have) != len(want) {
			say("%s has %d elements, shown are %d", place, len(have), len(want))
			return
		}
		for i, value := range want {
			compareValues(place+"["+strconv.Itoa(i)+"]", value, have[i], say)
		}
	case string:
		if have, ok := got.(string); !ok || !alike(want, have) {
			say("%s is %v, shown is %s", place, got, want)
		}
	case json.Number:
		_, ok := got.(json.Number)
		if varies := strings.HasSuffix(place, ".offset") || strings.HasSuffix(place, ".partition"); !ok || got != shown && !varies {
			say("%s is %v, shown is %s", place, got, want)
		}
	default:
		if got != shown {
			say("%s is %v, shown is %v", place, got, shown)
		}
	}
}

// TestGuideIsCompared changes answers that are right: each change is found.
func TestGuideIsCompared(t *testing.T) {
	t.Parallel()
	const shown = "HTTP/1.1 202 Accepted\nRetry-After: 1\n\n{\"id\":\"op_...\",\"offset\":7,\"amount\":1,\"list\":[{\"at\":\"2026-01-02T15:04:05Z\"}]}\n"
	const got = "HTTP/1.1 202 Accepted\r\nDate: x\r\nRetry-After: 1\r\n\r\n{\"id\":\"op_123\",\"offset\":9,\"amount\":1,\"list\":[{\"at\":\"2027-01-02T15:04:05.1Z\"}]}\n"
	if differences := compareAnswers(shown, got); len(differences) != 0 {
		t.Errorf("%v", differences)
	}
	for from, to := range map[string]string{
		"202 Accepted": "200 OK", "Retry-After: 1": "Retry-After: 2", "op_": "wal_", `"amount":1`: `"amount":2`, `"amount":1,`: "", `"offset":9`: `"offset":"9"`,
		`{"at"`: `{"x":1,"at"`, `[{`: `[{"at":"2027-01-02T15:04:05.1Z"},{`, "2027-01-02T": "", "}]}": "",
	} {
		if differences := compareAnswers(shown, strings.Replace(got, from, to, 1)); len(differences) == 0 {
			t.Errorf("%q in place of %q is not found", to, from)
		}
	}
}
