package bench

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	pictureWidth  = 7.5 * vg.Inch
	pictureHeight = 4.5 * vg.Inch
	// pictureRoom is between the largest rate and the upper edge.
	pictureRoom = 1.1
	// pictureMargin is for signs and labels that stand out of the axes.
	pictureMargin = 14
)

// draw writes the curve's SVG into the folder.
func (c Curve) draw(dir string) error {
	text, err := c.svg()
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, c.Name+".svg"), text, 0o644); err != nil {
		return fmt.Errorf("draw %s: %w", c.Name, err)
	}
	return nil
}

// svg draws the medians of the rounds of each line, and a bar from the smallest to
// the largest.
func (c Curve) svg() ([]byte, error) {
	at := slices.IndexFunc(curves(), func(k curve) bool { return k.name == c.Name })
	if at < 0 {
		return nil, fmt.Errorf("there is no such curve; there are: %s", strings.Join(CurveNames(), ", "))
	}
	known := curves()[at]
	if err := c.check(known.lines); err != nil {
		return nil, err
	}
	p := plot.New()
	p.Title.Text = known.title + "\n" + c.circumstances()
	p.X.Label.Text, p.Y.Label.Text = known.x, known.y
	p.Title.Padding, p.X.Label.Padding, p.Y.Label.Padding = vg.Points(8), vg.Points(4), vg.Points(4)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Variant, axis.Tick.Label.Font.Variant = "Sans", "Sans"
	}
	p.Title.TextStyle.Font.Variant, p.Legend.TextStyle.Font.Variant = "Sans", "Sans"
	p.Title.TextStyle.Font.Size, p.Legend.TextStyle.Font.Size = 10, 10
	p.Legend.Padding, p.Legend.XOffs, p.Legend.YOffs = vg.Points(3), -pictureMargin, pictureMargin
	if known.rising { // from corner to corner
		p.Legend.Left, p.Legend.Top, p.Legend.XOffs, p.Legend.YOffs = true, true, pictureMargin, -pictureMargin
	}
	p.X.Tick.Label.Font.Size = 8

	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 225}, color.Gray{Y: 225}
	p.Add(grid)
	for i, name := range known.lines {
		if err := c.line(p, name, looks()[i]); err != nil {
			return nil, err
		}
	}

	p.X.Tick.Marker = c.places()
	if known.logX {
		p.X.Scale = plot.LogScale{}
	}
	if smallest, largest := p.Y.Min, p.Y.Max; known.logY {
		p.Y.Scale = plot.LogScale{}
		p.Y.Min, p.Y.Max = math.Pow10(int(math.Floor(math.Log10(smallest)))), math.Pow10(int(math.Ceil(math.Log10(largest))))
		p.Y.Tick.Marker = grouped{plot.LogTicks{Prec: -1}}
	} else {
		p.Y.Min, p.Y.Max = 0, largest*pictureRoom
		p.Y.Tick.Marker = grouped{plot.DefaultTicks{}}
	}

	canvas := vgsvg.New(pictureWidth, pictureHeight)
	p.Draw(draw.Crop(draw.New(canvas), pictureMargin/2, -pictureMargin, pictureMargin/2, -pictureMargin/2))
	var text bytes.Buffer
	if _, err := canvas.WriteTo(&text); err != nil {
		return nil, err
	}
	// Who has no Liberation has a font with the same widths.
	return bytes.ReplaceAll(text.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;")), nil
}

// look is how a line is drawn.
type look struct {
	ink   color.Color
	shape draw.GlyphDrawer
	dash  vg.Length
}

// looks are those of the lines of a picture, in their order.
func looks() []look {
	blue, brown := color.RGBA{G: 0x55, B: 0xaa, A: 0xff}, color.RGBA{R: 0xb0, G: 0x6a, A: 0xff}
	return []look{
		{blue, draw.CircleGlyph{}, 0},
		{brown, draw.PyramidGlyph{}, vg.Points(5)},
		{color.RGBA{R: 0x2e, G: 0x7d, B: 0x32, A: 0xff}, draw.BoxGlyph{}, 0},
		{color.RGBA{R: 0x88, G: 0x3a, B: 0x96, A: 0xff}, draw.CrossGlyph{}, vg.Points(2)},
	}
}

// check refuses what cannot be drawn.
func (c Curve) check(lines []string) error {
	if len(c.Points) == 0 {
		return errors.New("it has no points")
	}
	for _, x := range c.Points {
		for _, name := range lines {
			if x.Lines[name].smallest() <= 0 || x.X < 0 {
				return fmt.Errorf("the point at %g has a figure of %q that is missing or not positive", x.X, name)
			}
		}
	}
	return nil
}

// circumstances say where, and how often, the curve was measured.
func (c Curve) circumstances() string {
	rounds := "one round"
	for _, s := range c.Points[0].Lines {
		if len(s) > 1 {
			rounds = fmt.Sprintf("%d rounds", len(s))
		}
	}
	postgres, _, _ := strings.Cut(c.Head.Postgres, " ") // who packed it stays in the figures
	return fmt.Sprintf("%d cores, PostgreSQL %s, %s; median of %s", c.Head.Cores, postgres, c.Head.Kafka, rounds)
}

// line adds one figure of all points.
func (c Curve) line(p *plot.Plot, name string, l look) error {
	var spread struct {
		plotter.XYs
		plotter.YErrors
	}
	for _, x := range c.Points {
		s := x.Lines[name]
		spread.XYs = append(spread.XYs, plotter.XY{X: x.X, Y: s.median()})
		spread.YErrors = append(spread.YErrors, struct{ Low, High float64 }{s.median() - s.smallest(), s.largest() - s.median()})
	}
	line, points, err := plotter.NewLinePoints(spread.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(spread)
	if err != nil {
		return err
	}
	line.Color, line.Width, bars.Color = l.ink, vg.Points(1.5), l.ink
	if l.dash > 0 {
		line.Dashes = []vg.Length{l.dash, l.dash}
	}
	points.Color, points.Shape, points.Radius = l.ink, l.shape, vg.Points(3.5)
	p.Add(bars, line, points)
	p.Legend.Add(name, line, points)
	return nil
}

// places marks each point on the axis.
func (c Curve) places() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, x := range c.Points {
		ticks = append(ticks, plot.Tick{Value: x.X, Label: thousands(strconv.FormatFloat(x.X, 'f', -1, 64))})
	}
	return ticks
}

// grouped writes the labels of another ticker with commas.
type grouped struct{ plot.Ticker }

// Ticks implements plot.Ticker.
func (g grouped) Ticks(from, to float64) []plot.Tick {
	ticks := g.Ticker.Ticks(from, to)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = thousands(strconv.FormatFloat(t.Value, 'f', -1, 64))
		}
	}
	return ticks
}

// thousands puts commas into a number that is not negative.
func thousands(number string) string {
	whole, fraction, point := strings.Cut(number, ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if point {
		whole += "." + fraction
	}
	return whole
}
