package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Figures are what measuring a row came to.
type Figures struct {
	// Ours and Limit are by round, and belong together round by round.
	Ours, Limit []float64
	// Worst makes the largest round of Ours count, not the median.
	Worst bool
	// OursCPU and LimitCPU are of all rounds together.
	OursCPU, LimitCPU CPU
	// Mark stands beside the row's name in the table, where it was measured in another
	// way than its goal is for.
	Mark  string
	Notes []string
}

// CPU is the user and system time that processes took for so many operations.
type CPU struct {
	Operations int64
	Uses       []Use // none: the system does not say
}

// Use is the CPU time of one process, or of one and its children.
type Use struct {
	Process string
	Seconds float64
}

// Micros is the CPU time of all processes for one operation, in microseconds; 0
// where it is not known.
func (c CPU) Micros() float64 {
	if c.Operations == 0 {
		return 0
	}
	sum := 0.0
	for _, u := range c.Uses {
		sum += u.Seconds
	}
	return sum * 1e6 / float64(c.Operations)
}

// plus adds up by process.
func (c CPU) plus(other CPU) CPU {
	sum := CPU{Operations: c.Operations + other.Operations, Uses: append([]Use(nil), c.Uses...)}
next:
	for _, u := range other.Uses {
		for i := range sum.Uses {
			if sum.Uses[i].Process == u.Process {
				sum.Uses[i].Seconds += u.Seconds
				continue next
			}
		}
		sum.Uses = append(sum.Uses, u)
	}
	return sum
}

// Result is a measured row.
type Result struct {
	Row
	Figures
}

// OursFigure is the median of the rounds, or the largest where the worst counts.
func (r Result) OursFigure() float64 {
	if r.Worst {
		return series(r.Ours).largest()
	}
	return series(r.Ours).median()
}

// LimitFigure is the median of the rounds.
func (r Result) LimitFigure() float64 { return series(r.Limit).median() }

// Ratio is the median of the ratios of the rounds; where the worst round counts,
// the largest of them.
func (r Result) Ratio() float64 {
	if r.Worst {
		return r.ratios().largest()
	}
	return r.ratios().median()
}

func (r Result) ratios() series { return series(r.Ours).over(r.Limit) }

// Met says whether the goal is reached.
func (r Result) Met() bool { return r.Goal.met(r.OursFigure(), r.LimitFigure(), r.Ratio()) }

// Report is what a run came to.
type Report struct {
	Head    Head
	Results []Result
}

// WriteTable prints the report for people.
func (r Report) WriteTable(to io.Writer) error {
	var b strings.Builder
	for _, line := range r.Head.lines() {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b, "\nFigures are medians of the rounds, ratios the median of each round's; the spread is of the ratios.")
	fmt.Fprintln(&b)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	line("row", "ours", "limit", "unit", "ratio", "spread", "rounds", "goal", "met")
	for _, x := range r.Results {
		met := "no"
		if x.Met() {
			met = "yes"
		}
		line(strings.TrimSpace(x.Name+" "+x.Mark), figure(x.OursFigure()), figure(x.LimitFigure()), x.Unit, ratio(x.Ratio()),
			ratio(x.ratios().smallest())+".."+ratio(x.ratios().largest()), strconv.Itoa(len(x.Ours)), x.Goal.Text, met)
	}
	_ = w.Flush() // a Builder takes everything
	r.writeCPU(&b)
	fmt.Fprintln(&b)
	for _, x := range r.Results {
		fmt.Fprintf(&b, "%s: %s\n", x.Name, x.What)
		for _, note := range x.Notes {
			fmt.Fprintf(&b, "  %s\n", note)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func (r Report) writeCPU(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nCPU\tµs each\tseconds, user and system, of all rounds")
	some := false
	side := func(name, side string, c CPU) {
		if c.Operations == 0 {
			return
		}
		some = true
		micros, uses := "-", []string{"-"}
		if len(c.Uses) > 0 {
			micros, uses = strconv.FormatFloat(c.Micros(), 'f', 1, 64), nil
		}
		for _, u := range c.Uses {
			uses = append(uses, fmt.Sprintf("%s %.2f", u.Process, u.Seconds))
		}
		fmt.Fprintf(w, "%s, %s\t%s\t%s\n", name, side, micros, strings.Join(uses, ", "))
	}
	for _, x := range r.Results {
		side(x.Name, "ours", x.OursCPU)
		side(x.Name, "limit", x.LimitCPU)
	}
	if some {
		_ = w.Flush() // a Builder takes everything
	}
}

// figure shows three digits at least, and no fraction of what is large.
func figure(v float64) string {
	switch size := math.Abs(v); {
	case size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

func ratio(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// WriteJSON prints the report for programs: the head, and a row for each result.
func (r Report) WriteJSON(to io.Writer) error {
	document := struct {
		Head Head      `json:"head"`
		Rows []jsonRow `json:"rows"`
	}{Head: r.Head, Rows: []jsonRow{}}
	for _, x := range r.Results {
		document.Rows = append(document.Rows, jsonRow{
			Name: x.Name, Ours: x.OursFigure(), Limit: x.LimitFigure(), Unit: x.Unit, Ratio: x.Ratio(),
			Goal: x.Goal.Text, Met: x.Met(), Spread: [2]float64{x.ratios().smallest(), x.ratios().largest()},
			OursRounds: x.Ours, LimitRounds: x.Limit, CPU: newJSONCPU(x.OursCPU), LimitCPU: newJSONCPU(x.LimitCPU),
			Mark: x.Mark, Notes: x.Notes,
		})
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}

// jsonRow is a row as programs read it.
type jsonRow struct {
	Name        string     `json:"name"`
	Ours        float64    `json:"ours"`
	Limit       float64    `json:"limit"`
	Unit        string     `json:"unit"`
	Ratio       float64    `json:"ratio"`
	Goal        string     `json:"goal"`
	Met         bool       `json:"met"`
	Spread      [2]float64 `json:"spread"` // of the ratio
	OursRounds  []float64  `json:"ours_rounds"`
	LimitRounds []float64  `json:"limit_rounds"`
	CPU         *jsonCPU   `json:"cpu,omitempty"`
	LimitCPU    *jsonCPU   `json:"limit_cpu,omitempty"`
	Mark        string     `json:"mark,omitempty"`
	Notes       []string   `json:"notes,omitempty"`
}

type jsonCPU struct {
	Operations int64              `json:"operations"`
	Micros     float64            `json:"micros_each"`
	Seconds    map[string]float64 `json:"seconds"`
}

func newJSONCPU(c CPU) *jsonCPU {
	if len(c.Uses) == 0 {
		return nil
	}
	j := &jsonCPU{Operations: c.Operations, Micros: c.Micros(), Seconds: map[string]float64{}}
	for _, u := range c.Uses {
		j.Seconds[u.Process] = u.Seconds
	}
	return j
}
