package rowdiff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/bidi"
	"barka/internal/look"
)

// struck is the style of words that only A has.
const struck = "9;" + look.Red

// Render writes the difference for a terminal: settings, counts, and the rows.
func (d *Diff) Render(s look.Style) string {
	var b strings.Builder
	d.A.line(&b, "A")
	d.B.line(&b, "B")
	section(&b, s, "settings", d.Settings)
	section(&b, s, "rows", d.summary())
	var moved []string
	for _, m := range d.Moved {
		moved = append(moved, fmt.Sprintf("%d %s → %s", m.Rows, m.From, m.To))
	}
	section(&b, s, "moved", moved)
	for _, r := range d.Rows {
		r.render(&b, s)
	}
	return b.String()
}

func (s Side) line(b *strings.Builder, name string) {
	what := fmt.Sprintf("%d rows", s.Rows)
	if s.Stage != "" {
		what = fmt.Sprintf("%s, %s, %d rejected", s.Stage, what, s.Rejected)
	}
	fmt.Fprintf(b, "%s: %s (%s)\n", name, bidi.Safe(s.Path), bidi.Safe(what))
}

// section writes a heading with lines below it, unless there are none.
func section(b *strings.Builder, s look.Style, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteString(s.Paint(title, look.Bold) + "\n")
	for _, line := range lines {
		for _, l := range s.Layout(max(20, s.Width-2)).Lines(bidi.Safe(line)) {
			b.WriteString("  " + l + "\n")
		}
	}
}

// summary are the counts of rows in words.
func (d *Diff) summary() (lines []string) {
	lines = append(lines, fmt.Sprintf("%d the same, %d changed", d.Same, d.Changed))
	if len(d.Columns) > 0 {
		names := slices.SortedFunc(maps.Keys(d.Columns), func(a, b string) int {
			return cmp.Or(cmp.Compare(d.Columns[b], d.Columns[a]), cmp.Compare(a, b))
		})
		var parts []string
		for _, name := range names {
			parts = append(parts, fmt.Sprintf("%s in %d", name, d.Columns[name]))
		}
		of := ""
		if int64(d.Compared) < d.Changed {
			of = fmt.Sprintf(" (of the first %d)", d.Compared)
		}
		lines = append(lines, "changed columns"+of+": "+strings.Join(parts, ", "))
	}
	for _, only := range []struct {
		side   string
		counts []Count
	}{{"A", d.OnlyA}, {"B", d.OnlyB}} {
		for _, c := range only.counts {
			lines = append(lines, fmt.Sprintf("%d only in %s (%s)", c.Rows, only.side, c.Place))
		}
	}
	return lines
}

// render writes a row with its columns.
func (r Row) render(b *strings.Builder, s look.Style) {
	what := "changed, " + r.To
	switch {
	case r.To == "":
		what = "only in A, " + r.From
	case r.From == "":
		what = "only in B, " + r.To
	case r.From != r.To:
		what = r.From + " → " + r.To
	}
	line := bidi.Safe(strings.Join(strings.Fields(r.ID+" · "+what), " "))
	rest := strings.Repeat("─", max(2, s.Width-bidi.Width(line)-4))
	b.WriteString("\n" + s.Paint("── "+line+" ", look.Bold) + s.Paint(rest, look.Dim) + "\n")
	write := func(prefix, style, text string, marks ...bidi.Mark) {
		for _, l := range s.Layout(max(20, s.Width-bidi.Width(prefix))).Lines(text, marks...) {
			b.WriteString(strings.TrimRight(prefix+s.Paint(l, style), " ") + "\n")
		}
	}
	write("  ", look.Red, bidi.Safe(r.Why))
	write("  ", look.Dim, bidi.Safe(r.Text))
	for _, c := range r.Columns {
		b.WriteString("  " + s.Paint(bidi.Safe(c.Name), look.Bold) + "\n")
		old, now := bidi.Safe(text(c.A)), bidi.Safe(text(c.B))
		words := Words(old, now)
		if !alike(words) {
			write("  - ", look.Red, old)
			write("  + ", look.Green, now)
			continue
		}
		line, marks := marked(elided(words), s.Colour)
		write("    ", "", line, marks...)
	}
}

// alike reports whether two texts have enough words in common to be shown as one.
func alike(all []Piece) bool {
	common, rest := 0, 0
	for _, p := range all {
		if n := len(strings.Fields(p.Text)); p.Old && p.New {
			common += 2 * n
		} else {
			rest += n
		}
	}
	return common > rest
}

// marked returns the text of both sides. With colours the words of one side are marked,
// otherwise enclosed: [-old-]{+new+}.
func marked(all []Piece, colour bool) (string, []bidi.Mark) {
	var b strings.Builder
	var marks []bidi.Mark
	for _, p := range all {
		start := b.Len()
		switch {
		case p.Old && p.New:
			b.WriteString(p.Text)
		case colour && p.Old:
			b.WriteString(p.Text)
			marks = append(marks, bidi.Mark{Span: bidi.Span{Start: start, End: b.Len()}, Style: struck})
		case colour:
			b.WriteString(p.Text)
			marks = append(marks, bidi.Mark{Span: bidi.Span{Start: start, End: b.Len()}, Style: look.Green})
		case p.Old:
			b.WriteString("[-" + p.Text + "-]")
		default:
			b.WriteString("{+" + p.Text + "+}")
		}
	}
	return b.String(), marks
}

// text writes a value as text, the beginning of a list or object as JSON.
func text(v any) string {
	s := look.Text(v)
	switch v.(type) {
	case []any, map[string]any:
		return clipped(s)
	}
	return s
}

// nearby is the number of characters that are shown of an unchanged stretch beside a
// change.
const nearby = 120

// elided shortens long stretches that are the same on both sides.
func elided(all []Piece) []Piece {
	for i, p := range all {
		runes := []rune(p.Text)
		if !p.Old || !p.New || len(runes) <= 3*nearby {
			continue
		}
		head, tail := "", ""
		if i > 0 {
			head = string(runes[:nearby])
		}
		if i < len(all)-1 {
			tail = string(runes[len(runes)-nearby:])
		}
		all[i].Text = head + " … " + tail
	}
	return all
}
