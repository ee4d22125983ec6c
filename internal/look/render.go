package look

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/bidi"
	"barka/internal/chat"
)

// Style is how rows are written for a terminal.
type Style struct {
	Mode    bidi.Mode
	Width   int  // cells of a line
	Right   bool // right-to-left lines end at the right margin
	Beside  bool // the source stands beside its translation, not below it
	Colour  bool
	Columns []string // only these columns, in this order; nil writes the row as a whole
}

// The styles of parts of a row, as parameters of the terminal's sequence.
const (
	Bold  = "1"
	Dim   = "2"
	Red   = "31"
	Green = "32"
)

// Paint gives text a style, if the terminal has colours.
func (s Style) Paint(text, style string) string {
	if !s.Colour || text == "" || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// Layout returns the layout of text in so many cells.
func (s Style) Layout(width int) bidi.Layout {
	return bidi.Layout{Mode: s.Mode, Width: width, Right: s.Right || s.Beside}
}

// shownElsewhere are the columns that Row has a place for, or that say nothing to a reader.
// --columns and --json show them.
var shownElsewhere = []string{"id", "dataset", "form", "kind", "title", "section", "text", "url", "revision", "licence",
	"messages", "messages_en", "conversations", "language", "generator", "translator", "segments", "reason", "detail",
	"prompt_digest", "seed", "prompt_tokens", "completion_tokens", "finish_reason", "passage_id", "chars"}

// Others returns the columns that Style.Row has no place for and that say something, in
// order. In rows of other programs false and 0 may be what matters, such as a label.
func (r Row) Others() (names []string) {
	foreign := len(r.Messages()) == 0 && r.Text("text") == ""
	for _, name := range slices.Sorted(maps.Keys(r.Columns)) {
		v := r.Columns[name]
		_, text := v.(string)
		_, list := v.([]any)
		if !slices.Contains(shownElsewhere, name) && (!Empty(v) || foreign && v != nil && !text && !list) {
			names = append(names, name)
		}
	}
	return names
}

// Row writes a row with its heading, its texts and its origin.
func (s Style) Row(r Row) string {
	var b strings.Builder
	b.WriteString(s.heading(r) + "\n")
	if s.Columns != nil {
		for _, name := range s.Columns {
			s.column(&b, name, r.Columns[name])
		}
		return b.String()
	}
	if title := strings.Join(nonEmpty(r.Text("title"), r.Text("section")), " › "); title != "" {
		s.text(&b, title, "  ", Bold)
	}
	switch turns := r.Messages(); {
	case len(turns) > 0:
		s.turns(&b, turns, r.Source())
	case r.Text("text") != "":
		s.text(&b, r.Text("text"), "  ", "")
	}
	for _, line := range Origin(r) {
		for _, l := range s.Layout(max(20, s.Width-2)).Lines(bidi.Safe(line)) {
			b.WriteString("  " + s.Paint(l, Dim) + "\n")
		}
	}
	for _, name := range r.Others() {
		s.column(&b, name, r.Columns[name])
	}
	return b.String()
}

// heading is the line above a row: its number, id, kind and, if it was rejected, why.
func (s Style) heading(r Row) string {
	words := nonEmpty(fmt.Sprint(r.Number), r.ID(), r.Text("dataset"), cmp.Or(r.Text("kind"), r.Text("form")))
	line := bidi.Safe(strings.ReplaceAll(strings.Join(words, " · "), "\n", " "))
	out := s.Paint("── "+line+" ", Bold) + s.Paint(strings.Repeat("─", max(2, s.Width-bidi.Width(line)-4)), Dim)
	if reason := r.Text("reason"); reason != "" {
		if detail := r.Text("detail"); detail != "" {
			reason += ": " + detail
		}
		for _, l := range s.Layout(max(20, s.Width-2)).Lines(bidi.Safe("rejected, " + reason)) {
			out += "\n  " + s.Paint(l, Red)
		}
	}
	return out
}

// turns writes a conversation, each message with its source below or beside it.
func (s Style) turns(b *strings.Builder, turns, source []chat.Message) {
	for i, m := range turns {
		b.WriteString("  " + s.Paint(bidi.Safe(oneLine(m.Role)), Bold) + "\n")
		from := ""
		if i < len(source) {
			from = source[i].Content
		}
		switch {
		case from == "":
			s.text(b, m.Content, "    ", "")
		case s.Beside && s.Width >= 60:
			s.columns(b, from, m.Content)
		default:
			s.text(b, m.Content, "    ", "")
			s.text(b, from, "    │ ", Dim)
		}
	}
}

// columns writes two texts beside each other, the second one right of the first.
func (s Style) columns(b *strings.Builder, left, right string) {
	width := (s.Width - 4 - 3) / 2
	l := bidi.Layout{Mode: s.Mode, Width: width}.Lines(bidi.Safe(left))
	r := s.Layout(width).Lines(bidi.Safe(right))
	for i := range max(len(l), len(r)) {
		var a, z string
		if i < len(l) {
			a = l[i]
		}
		if i < len(r) {
			z = r[i]
		}
		pad := strings.Repeat(" ", max(0, width-bidi.Width(a)))
		b.WriteString(strings.TrimRight("    "+s.Paint(a, Dim)+pad+" │ "+z, " ") + "\n")
	}
}

// text writes a text with a prefix before each line.
func (s Style) text(b *strings.Builder, text, prefix, style string) {
	for _, l := range s.Layout(max(20, s.Width-bidi.Width(prefix))).Lines(bidi.Safe(text)) {
		b.WriteString(strings.TrimRight(prefix+s.Paint(l, style), " ") + "\n")
	}
}

// column writes a column with its name.
func (s Style) column(b *strings.Builder, name string, v any) {
	if turns := Messages(v); len(turns) > 0 {
		b.WriteString("  " + s.Paint(bidi.Safe(name), Bold) + "\n")
		s.turns(b, turns, nil)
		return
	}
	text := Text(v)
	label := bidi.Safe(oneLine(name)) + ": "
	if len(text)+len(label)+2 > s.Width || strings.Contains(text, "\n") || bidi.RightToLeft(text) {
		b.WriteString("  " + s.Paint(strings.TrimSpace(label), Bold) + "\n")
		s.text(b, text, "    ", "")
		return
	}
	line := s.Paint(label, Bold) + strings.Join(s.Layout(0).Lines(bidi.Safe(text)), "")
	b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
}

// Origin returns where a row is from and what was done to it, as lines of text: its page,
// the models, and the flags of its translation.
func Origin(r Row) (lines []string) {
	add := func(name string, parts ...string) {
		if parts = nonEmpty(parts...); len(parts) > 0 {
			lines = append(lines, name+strings.Join(parts, " · "))
		}
	}
	revision := Text(r.Columns["revision"])
	if revision != "" && revision != "0" {
		revision = "revision " + revision
	} else {
		revision = ""
	}
	add("from ", r.Text("url"), revision, r.Text("licence"))
	finish := r.Text("finish_reason")
	switch finish {
	case "", "stop", "eos":
		finish = ""
	default:
		finish = "ended by " + finish
	}
	add("by ", r.Text("generator"), finish)
	flags, score, n := r.Flags()
	var marks []string
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		marks = append(marks, fmt.Sprintf("%s in %d of %d segments", name, flags[name], n))
	}
	mean := ""
	if n > 0 {
		mean = fmt.Sprintf("mean score %.2f", score)
	}
	if r.Text("translator") != "" || len(marks) > 0 {
		add("translated by ", append([]string{r.Text("translator"), r.Text("language"), mean}, marks...)...)
	}
	return lines
}

func nonEmpty(all ...string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return strings.TrimSpace(s) == "" })
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
