package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"barka/internal/htmlpage"
)

// Sizes of the picture, in its own units.
const (
	columnWidth = 122.0
	barWidth    = 12.0
	barMost     = 104.0 // height of the largest number of rows
	barLeast    = 3.0
	labelHeight = 40.0 // name and count above a bar
	lossHeight  = 20.0 // the rejected rows below it
	laneGap     = 16.0
	boxWidth    = 132.0
	boxHeight   = 66.0
)

// box is a stage of the picture that makes no rows: the training, the evaluation.
type box struct {
	name  string
	lines []string
	class string // of the last line
}

// picture draws the pipeline. The height of a bar is its number of rows: the kept ones, and
// the rejected ones below. Boxes follow the last dataset.
func (p *pipeline) picture(boxes []box) template.HTML {
	if len(p.nodes)+len(boxes) == 0 {
		return ""
	}
	d := &drawing{p: p, scale: barMost / float64(p.largest())}
	d.place()
	width := 8 + float64(p.depth)*columnWidth + float64(len(boxes))*(boxWidth+26)
	height := d.height
	if len(boxes) > 0 {
		height = max(height, labelHeight+boxHeight+12)
	}
	fmt.Fprintf(&d.b, `<svg class="flow" viewBox="0 0 %.0f %.0f" style="min-width:%.0fpx" role="img" `+
		`aria-label="stages with the rows that each kept and rejected">`,
		width, height, min(width, 640+0.2*width))
	for i := range p.nodes {
		d.bands(i)
	}
	d.toBoxes(boxes)
	for i := range p.nodes {
		d.bar(i)
	}
	d.boxes(boxes)
	d.b.WriteString("</svg>")
	return template.HTML(d.b.String())
}

// drawing is a picture in progress.
type drawing struct {
	p      *pipeline
	b      strings.Builder
	scale  float64
	y      []float64 // top of each node's bar
	height float64
}

// size is the height of a number of rows.
func (d *drawing) size(rows int64) float64 {
	if rows <= 0 {
		return 0
	}
	return max(barLeast, float64(rows)*d.scale)
}

// bodySize is the height of a node's bar.
func (d *drawing) bodySize(n node) float64 { return max(barLeast, d.keptSize(n)+d.size(n.Rejected)) }

func (d *drawing) keptSize(n node) float64 { return d.size(n.Out + n.held()) }

// place finds the top of each bar. The bars of a lane begin at the same height.
func (d *drawing) place() {
	tall := make([]float64, d.p.lanes)
	for _, n := range d.p.nodes {
		tall[n.lane] = max(tall[n.lane], d.bodySize(n))
	}
	top := make([]float64, d.p.lanes)
	at := 0.0
	for i, h := range tall {
		top[i] = at + labelHeight
		at += labelHeight + h + lossHeight + laneGap
	}
	d.height = max(at-laneGap, 1)
	for _, n := range d.p.nodes {
		d.y = append(d.y, top[n.lane])
	}
}

func left(n node) float64 { return 4 + float64(n.depth)*columnWidth }

// bands draws what a node read, from the bars of its inputs, one below the other.
func (d *drawing) bands(i int) {
	n := d.p.nodes[i]
	at := d.y[i]
	for _, j := range n.from {
		from := d.p.nodes[j]
		height := d.size(from.Out)
		to := height
		if len(n.from) == 1 {
			to = d.bodySize(n)
		}
		d.band("flow", left(from)+barWidth, d.y[j], height, left(n), at, to)
		at += to
	}
}

// band draws a curved band between two vertical edges.
func (d *drawing) band(class string, x0, y0, h0, x1, y1, h1 float64) {
	mid := (x0 + x1) / 2
	fmt.Fprintf(&d.b, `<path class="%s" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fV%.1fC%.1f %.1f %.1f %.1f %.1f %.1fZ"/>`,
		class, x0, y0, mid, y0, mid, y1, x1, y1, y1+h1, mid, y1+h1, mid, y0+h0, x0, y0+h0)
}

// bar draws a node with its texts.
func (d *drawing) bar(i int) {
	n := d.p.nodes[i]
	x, y, kept, lost := left(n), d.y[i], d.keptSize(n), d.size(n.Rejected)
	fmt.Fprintf(&d.b, `<g><title>%s</title>`, html.EscapeString(n.describe()))
	if kept > 0 || lost == 0 {
		fmt.Fprintf(&d.b, `<rect class="kept" x="%.1f" y="%.1f" width="%.0f" height="%.1f" rx="2"/>`, x, y, barWidth, max(kept, barLeast))
	}
	if lost > 0 {
		fmt.Fprintf(&d.b, `<rect class="lost" x="%.1f" y="%.1f" width="%.0f" height="%.1f" rx="2"/>`, x, y+kept, barWidth, lost)
		fmt.Fprintf(&d.b, `<text class="minus" x="%.1f" y="%.1f">−%s</text>`, x, y+kept+lost+14, thousands(n.Rejected))
	}
	count := thousands(n.Out)
	if held := n.held(); held > 0 {
		count += " + " + thousands(held)
	}
	fmt.Fprintf(&d.b, `<text class="name" x="%.1f" y="%.1f">%s</text><text x="%.1f" y="%.1f">%s</text></g>`,
		x, y-24, html.EscapeString(cut(n.Name, 16)), x, y-8, count)
}

// describe is a node's text for a pointer that rests on it.
func (n node) describe() string {
	text := fmt.Sprintf("%s: %s rows", n.Dir, thousands(n.Out))
	if n.In > 0 {
		text += " of " + thousands(n.In)
	}
	for i, r := range n.Reasons {
		text += [2]string{"; rejected: ", ", "}[min(i, 1)] + fmt.Sprintf("%s %s", r.Name, thousands(r.N))
	}
	return text
}

// boxTop is where boxes stand.
const boxTop = labelHeight - 14

func (d *drawing) boxLeft(i int) float64 {
	return 4 + float64(d.p.depth)*columnWidth + float64(i)*(boxWidth+26)
}

// toBoxes draws the bands to and between the boxes.
func (d *drawing) toBoxes(boxes []box) {
	for i := range boxes {
		x1, y := d.boxLeft(i), boxTop+boxHeight/2
		switch n := len(d.p.nodes); {
		case i > 0:
			d.band("model", x1-26, y-5, 10, x1, y-5, 10)
		case n > 0 && boxes[i].name == "train":
			last := d.p.nodes[n-1]
			d.band("model", left(last)+barWidth, d.y[n-1], d.size(last.Out), x1, y-5, 10)
		}
	}
}

func (d *drawing) boxes(boxes []box) {
	for i, b := range boxes {
		x := d.boxLeft(i)
		fmt.Fprintf(&d.b, `<rect class="box" x="%.1f" y="%.1f" width="%.0f" height="%.0f" rx="8"/><text class="name" x="%.1f" y="%.1f">%s</text>`,
			x, boxTop, boxWidth, boxHeight, x+12, boxTop+20, html.EscapeString(b.name))
		for j, line := range b.lines {
			class := ""
			if j == len(b.lines)-1 {
				class = b.class
			}
			fmt.Fprintf(&d.b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x+12, boxTop+38+16*float64(j), html.EscapeString(line))
		}
	}
}

// cut bounds a name of the picture.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// boxesOf are the training and the evaluations of a page.
func boxesOf(c *content) (boxes []box) {
	if t := c.Training; t != nil {
		b := box{name: "train", lines: []string{thousands(int64(t.Steps)) + " steps", fmt.Sprintf("loss %.3f → %.3f", t.FirstLoss, t.LastLoss)}}
		boxes = append(boxes, b)
	}
	if l := c.Leaderboard; l != nil {
		b := box{name: "eval", lines: []string{thousands(l.questions()) + " questions"}}
		switch {
		case l.Tests != nil:
			all := l.Tests.All
			b.lines = append(b.lines, fmt.Sprintf("%.1f → %.1f, %s", 100*all.A, 100*all.B, htmlpage.Points(all.Change())))
			b.class = l.Tests.Class()
		case l.Average.Shown():
			b.lines = append(b.lines, "average "+htmlpage.Score(l.Average.last()))
		}
		boxes = append(boxes, b)
	}
	return boxes
}

// questions is the number of questions of all tasks, or of all rows of tables without tasks.
func (c *comparison) questions() (n int64) {
	list := c.Tasks
	if len(list) == 0 {
		list = c.Rows
	}
	for _, r := range list {
		n += r.Questions
	}
	return n
}
