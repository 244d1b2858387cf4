package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleCurve has points over several decades, with and without a spread.
func exampleCurve(name string) Curve {
	var points []Point
	at := slices.IndexFunc(curves(), func(c curve) bool { return c.name == name })
	for i, x := range []float64{1, 10, 1_000} {
		p := Point{X: x, Charges: 6_000, Lines: map[string]series{}}
		for j, line := range curves()[max(at, 0)].lines {
			p.Lines[line] = series{float64(900 * (i + 1) * (j + 1)), float64(1_100 * (i + 1) * (j + 1))}
		}
		points = append(points, p)
	}
	return Curve{
		Name:   name,
		Head:   Head{Cores: 4, System: "linux/amd64", Go: "go1.26.8", Postgres: "15.18 (Debian 15.18-0)", Kafka: "Apache Kafka 4.1.1, one broker"},
		Points: points,
	}
}

// picture is what can be counted in an SVG.
type picture struct {
	fills map[string]int // elements by their colour
	texts []string
}

func readPicture(t *testing.T, svg []byte) picture {
	t.Helper()
	found := picture{fills: map[string]int{}}
	in := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		element, is := token.(xml.StartElement)
		if !is {
			continue
		}
		if element.Name.Local == "text" {
			var text string
			if err := in.DecodeElement(&text, &element); err != nil {
				t.Fatal(err)
			}
			found.texts = append(found.texts, text)
			continue
		}
		for _, a := range element.Attr {
			if _, fill, has := strings.Cut(a.Value, "fill:#"); a.Name.Local == "style" && has {
				found.fills[fill]++
			}
		}
	}
}

func TestDrawnCurve(t *testing.T) {
	t.Parallel()
	for _, c := range curves() {
		name := c.name
		svg, err := exampleCurve(name).svg()
		if err != nil {
			t.Fatal(err)
		}
		p := readPicture(t, svg)
		// Each point, and the sign of the legend.
		if ours, copies := p.fills["0055AA"], p.fills["B06A00"]; ours != 4 || copies != 4 {
			t.Errorf("%s: %d and %d points of the first two lines, want 4 each: %v", name, ours, copies, p.fills)
		}
		all := strings.Join(p.texts, "\n")
		for _, want := range append(c.lines, "4 cores, PostgreSQL 15.18, Apache Kafka 4.1.1, one broker; median of 2 rounds", c.x, c.y, "1,000") {
			if !strings.Contains(all, want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, all)
			}
		}
	}
}

func TestCurvesThatCannotBeDrawn(t *testing.T) {
	t.Parallel()
	empty, missing := exampleCurve("batch"), exampleCurve("batch")
	empty.Points = nil
	missing.Points[1].Lines[lineCopied] = nil
	for want, c := range map[string]Curve{
		"no such curve": exampleCurve("prices"), "no points": empty, "at 10 has a figure": missing,
	} {
		if _, err := c.svg(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// TestDrawCurves draws what lies in a folder, and nothing where nothing lies.
func TestDrawCurves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := DrawCurves(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of an empty folder: %v", err)
	}
	want := []Curve{exampleCurve("stored"), exampleCurve("wallets")}
	if err := writeCurves(dir, []Curve{want[1], want[0]}); err != nil {
		t.Fatal(err)
	}
	if got, err := readCurves(dir); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v: %s", err, cmp.Diff(want, got))
	}
	if err := DrawCurves(dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range want {
		text, err := os.ReadFile(filepath.Join(dir, c.Name+".svg"))
		if err != nil || len(readPicture(t, text).texts) == 0 {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func TestCurveOptionsThatAreWrong(t *testing.T) {
	t.Parallel()
	err := CurveOptions{Only: []string{"batch", "bacth"}, Stored: []int{0, -1}}.Check()
	for _, part := range []string{"folder", `"bacth"`, "partitions", "negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %s: %v", part, err)
		}
	}
	if err := (CurveOptions{To: "somewhere", Only: CurveNames(), Stored: []int{0, 10_000_000}}).Check(); err != nil {
		t.Error(err)
	}
}

// TestShared: all of several processors must have a partition.
func TestShared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		owners string
		pids   []int
		want   bool
	}{
		{"host/7 host/17", []int{7, 17}, true},
		{"host/7 host/17 host/9", []int{7, 17}, true},
		{"host/17", []int{7, 17}, false},
		{"host/17", []int{7}, false},
		{"", []int{7}, false},
	} {
		if got := (stand{owners: strings.Fields(c.owners)}).shared(c.pids); got != c.want {
			t.Errorf("%v among %q: %v", c.pids, c.owners, got)
		}
	}
}
