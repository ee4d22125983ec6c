package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// stage is a line of the table of stages.
type stage struct {
	Name, Dir         string
	In, Out, Rejected int64
	Reasons           []reason
	Counts            []count // the stage's own
	Tokens            []count
	Notes             []string
}

// reason is why rows were rejected, and how many.
type reason struct {
	Name  string
	N     int64
	Share float64 // of the rejected
}

type count struct {
	Name string
	N    int64
}

// Kept is the share of the input that came through; stages that make more
// rows than they take have none.
func (s stage) Kept() float64 {
	if s.In <= 0 || s.Out > s.In {
		return math.NaN()
	}
	return float64(s.Out) / float64(s.In)
}

// HasKept reports whether Kept applies.
func (s stage) HasKept() bool { return !math.IsNaN(s.Kept()) }

// KeptPercent is Kept for the style sheet.
func (s stage) KeptPercent() float64 { return 100 * s.Kept() }

func (s stage) tokens() int64 {
	var sum int64
	for _, t := range s.Tokens {
		sum += t.N
	}
	return sum
}

func stageOf(dir string, m *dataset.Manifest) stage {
	s := stage{Name: m.Stage, Dir: filepath.Base(dir), In: m.Counts["in"], Out: m.Rows, Rejected: m.Counts["rejected"], Notes: m.Notes}
	for name, n := range m.Counts {
		why, rejected := strings.CutPrefix(name, "rejected_")
		switch {
		case rejected:
			s.Reasons = append(s.Reasons, reason{strings.ReplaceAll(why, "_", " "), n, float64(n) / float64(max(1, s.Rejected))})
		case name != "in" && name != "out" && name != "rejected":
			s.Counts = append(s.Counts, count{strings.ReplaceAll(name, "_", " "), n})
		}
	}
	for name, n := range m.Tokens {
		s.Tokens = append(s.Tokens, count{name, n}) // names of languages and models
	}
	slices.SortFunc(s.Reasons, func(a, b reason) int { return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Name, b.Name)) })
	for _, list := range [][]count{s.Counts, s.Tokens} {
		slices.SortFunc(list, func(a, b count) int { return strings.Compare(a.Name, b.Name) })
	}
	return s
}

// sample is a row shown in both languages, where it has both.
type sample struct {
	Title string
	Turns []turn
}

// turn is one message; either side may be empty.
type turn struct{ Role, Source, Target string }

// HasSource reports whether the row is there in the source language too.
func (s sample) HasSource() bool {
	return slices.ContainsFunc(s.Turns, func(t turn) bool { return t.Source != "" })
}

// readSamples picks rows by a hash of their ids: always the same, from all
// over the file.
func readSamples(ctx context.Context, path string, rows int) ([]sample, error) {
	if rows <= 0 {
		rows = 5
	}
	type candidate struct {
		order string
		row   dataset.Instruction
	}
	var picked []candidate
	for row, err := range dataset.Rows[dataset.Instruction](ctx, path) {
		if err != nil {
			return nil, err
		}
		if len(row.Messages) == 0 {
			continue
		}
		picked = append(picked, candidate{dataset.ContentID("report", row.ID), row})
		slices.SortFunc(picked, func(a, b candidate) int { return strings.Compare(a.order, b.order) })
		picked = picked[:min(len(picked), rows)]
	}
	if len(picked) == 0 {
		return nil, badinput.Errorf("%s: no row has messages to show", path)
	}
	var out []sample
	for _, c := range picked {
		s := sample{Title: c.row.Title}
		if s.Title == "" {
			s.Title = c.row.Dataset
		}
		for i, m := range c.row.Messages {
			t := turn{Role: m.Role, Target: clip(m.Content)}
			if i < len(c.row.MessagesEN) {
				t.Source = clip(c.row.MessagesEN[i].Content)
			}
			s.Turns = append(s.Turns, t)
		}
		out = append(out, s)
	}
	return out, nil
}

// clip bounds a text of a sample for display.
func clip(s string) string { return clipTo(s, 900) }

func clipTo(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + " …"
}

// thousands writes a count with commas.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func percent(f float64) string {
	if f > 0 && f < 0.001 {
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*f)
}
