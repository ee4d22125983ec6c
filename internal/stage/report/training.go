package report

import (
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/jsonl"
)

// training is the section about a training run.
type training struct {
	Steps               int
	Tokens              int64
	FirstLoss, LastLoss float64
	// BestVal is the lowest validation loss and BestStep where it was; HasVal
	// reports whether any was recorded.
	HasVal             bool
	BestVal            float64
	BestStep           int
	Loss               template.HTML // an SVG
	Rate, Norm         template.HTML // small ones, empty when not recorded
	RateText, NormText string
}

// StepCount is Steps for thousands.
func (t training) StepCount() int64 { return int64(t.Steps) }

// step is a line of metrics.jsonl.
type step struct {
	Step     int      `json:"step"`
	Loss     *float64 `json:"loss"`
	ValLoss  *float64 `json:"val_loss"`
	Rate     *float64 `json:"lr"`
	GradNorm *float64 `json:"grad_norm"`
	Tokens   int64    `json:"tokens"`
}

// readTraining reads the metrics of a run. Lines without a loss (evaluations,
// say) are skipped; a step that was trained again after an interruption
// counts once, as it was last.
func readTraining(path string) (*training, error) {
	dir, err := badinput.IsDir(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if dir {
		path = filepath.Join(path, "metrics.jsonl")
	}
	var steps []step
	for s, err := range jsonl.Read[step](path) {
		if err != nil {
			return nil, badinput.Wrap(err)
		}
		if s.Loss == nil {
			continue
		}
		for len(steps) > 0 && steps[len(steps)-1].Step >= s.Step {
			steps = steps[:len(steps)-1]
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil, badinput.Errorf("%s: no line has a loss", path)
	}
	last := steps[len(steps)-1]
	t := &training{Steps: last.Step, Tokens: tokensOf(steps)}
	loss := series(steps, func(s step) *float64 { return s.Loss })
	smooth := smoothed(loss)
	t.FirstLoss, t.LastLoss = smooth[0].y, smooth[len(smooth)-1].y
	val := series(steps, func(s step) *float64 { return s.ValLoss })
	for _, p := range val {
		if !t.HasVal || p.y < t.BestVal {
			t.HasVal, t.BestVal, t.BestStep = true, p.y, int(p.x)
		}
	}
	t.Loss = lossChart(loss, smooth, val)
	if p := series(steps, func(s step) *float64 { return s.Rate }); len(p) > 1 {
		t.Rate, t.RateText = spark(thinned(p)), fmt.Sprintf("at most %.3g", highest(p))
	}
	if p := series(steps, func(s step) *float64 { return s.GradNorm }); len(p) > 1 {
		t.Norm, t.NormText = spark(smoothed(p)), fmt.Sprintf("at most %.3g, at the end %.3g", highest(p), p[len(p)-1].y)
	}
	return t, nil
}

// tokensOf takes the tokens as a running total when they never fall, and as
// counts of single steps otherwise.
func tokensOf(steps []step) int64 {
	rising, sum := true, int64(0)
	for i, s := range steps {
		sum += s.Tokens
		rising = rising && (i == 0 || s.Tokens > steps[i-1].Tokens)
	}
	if rising {
		return steps[len(steps)-1].Tokens
	}
	return sum
}

type point struct{ x, y float64 }

// series picks one value of every step that has it.
func series(steps []step, pick func(step) *float64) []point {
	var out []point
	for _, s := range steps {
		if v := pick(s); v != nil && !math.IsNaN(*v) && !math.IsInf(*v, 0) {
			out = append(out, point{float64(s.Step), *v})
		}
	}
	return out
}

func highest(points []point) float64 {
	top := points[0].y
	for _, p := range points {
		top = max(top, p.y)
	}
	return top
}

// mostPoints bounds the points of a drawn line.
const mostPoints = 500

// thin returns the indices of the points that are drawn of n: evenly spaced, and
// the last one.
func thin(n int) []int {
	stride := n/mostPoints + 1
	var out []int
	for i := 0; i < n; i += stride {
		out = append(out, i)
	}
	if n > 0 && out[len(out)-1] != n-1 {
		out = append(out, n-1)
	}
	return out
}

// smoothed is the mean over a window of a twentieth of the run, at the points
// that are drawn.
func smoothed(points []point) []point {
	half := len(points) / 40
	var out []point
	for _, i := range thin(len(points)) {
		from, to := max(0, i-half), min(len(points), i+half+1)
		sum := 0.0
		for _, q := range points[from:to] {
			sum += q.y
		}
		out = append(out, point{points[i].x, sum / float64(to-from)})
	}
	return out
}

// thinned are the points that are drawn.
func thinned(points []point) []point {
	var out []point
	for _, i := range thin(len(points)) {
		out = append(out, points[i])
	}
	return out
}

// frame maps values to the coordinates of a drawing.
type frame struct {
	left, top, width, height float64
	x0, x1, y0, y1           float64
}

func (f frame) at(p point) (x, y float64) {
	return f.left + f.width*(p.x-f.x0)/(f.x1-f.x0), f.top + f.height*(1-(p.y-f.y0)/(f.y1-f.y0))
}

// path draws a line through points.
func (f frame) path(points []point) string {
	var b strings.Builder
	for i, p := range points {
		x, y := f.at(p)
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(1, i)], x, y)
	}
	return b.String()
}

// ticks are round numbers from low to high, about n of them; none where the
// range is too small or too large for its numbers.
func ticks(low, high float64, n int) []float64 {
	raw := (high - low) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if unit*m >= raw {
			unit *= m
			break
		}
	}
	var out []float64
	first := math.Ceil(low / unit)
	for i := range 2 * n { // not while below high: a unit may be too small to be added
		v := (first + float64(i)) * unit
		if !(v <= high+unit/1e6) {
			break
		}
		out = append(out, v)
	}
	return out
}

// bounds returns the range of both coordinates, never empty.
func bounds(points []point) (x0, x1, y0, y1 float64) {
	x0, x1, y0, y1 = points[0].x, points[len(points)-1].x, points[0].y, points[0].y
	for _, p := range points {
		y0, y1 = min(y0, p.y), max(y1, p.y)
	}
	if x1 <= x0 {
		x1 = x0 + 1
	}
	if size := max(math.Abs(y0), math.Abs(y1)); y1-y0 < 1e-9*max(1, size) {
		pad := max(0.5, size/1e6) // what 1e17 can be told from
		y0, y1 = y0-pad, y1+pad
	}
	return
}

// mostDots is up to how many points are marked on a line.
const mostDots = 60

// lossChart draws the loss of each step, its mean, and the validation loss
// where it was measured.
func lossChart(raw, smooth, val []point) template.HTML {
	x0, x1, y0, y1 := bounds(raw)
	for _, p := range val {
		y0, y1 = min(y0, p.y), max(y1, p.y)
	}
	margin := (y1 - y0) * 0.05
	f := frame{left: 52, top: 12, width: 692, height: 236, x0: x0, x1: x1, y0: max(0, y0-margin), y1: y1 + margin}
	var b strings.Builder
	b.WriteString(`<svg class="chart" viewBox="0 0 760 290" role="img" aria-label="training and validation loss by step">`)
	for _, v := range ticks(f.y0, f.y1, 5) {
		_, y := f.at(point{x0, v})
		fmt.Fprintf(&b, `<line class="grid" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/><text x="%.0f" y="%.1f" text-anchor="end">%.4g</text>`,
			f.left, f.left+f.width, y, y, f.left-8, y+4, v)
	}
	for _, v := range ticks(f.x0, f.x1, 8) {
		if v != math.Trunc(v) {
			continue
		}
		x, _ := f.at(point{v, f.y0})
		fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`, x, f.top+f.height+18, thousands(int64(v)))
	}
	fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle">step</text>`, f.left+f.width/2, f.top+f.height+38)
	fmt.Fprintf(&b, `<path class="raw" d="%s"/><path class="line" d="%s"/>`, f.path(thinned(raw)), f.path(smooth))
	if len(val) > 0 {
		fmt.Fprintf(&b, `<path class="val" d="%s"/>`, f.path(thinned(val)))
	}
	if len(val) <= mostDots {
		for _, p := range val {
			x, y := f.at(p)
			fmt.Fprintf(&b, `<circle class="val" cx="%.1f" cy="%.1f" r="3"/>`, x, y)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func spark(points []point) template.HTML {
	x0, x1, y0, y1 := bounds(points)
	f := frame{left: 2, top: 4, width: 236, height: 40, x0: x0, x1: x1, y0: min(0, y0), y1: y1}
	return template.HTML(fmt.Sprintf(`<svg class="spark" viewBox="0 0 240 48" aria-hidden="true"><path class="line" d="%s"/></svg>`,
		f.path(points)))
}
