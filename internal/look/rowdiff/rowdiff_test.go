package rowdiff

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/bidi"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/look"
	"barka/internal/testfiles"
)

func row(id, answer string) dataset.Instruction {
	return dataset.Instruction{ID: id, Dataset: "d", Messages: []chat.Message{{Role: "user", Content: "سؤال " + id},
		{Role: "assistant", Content: answer}}}
}

// set writes a dataset directory with rejected rows.
func set(t *testing.T, options string, kept []dataset.Instruction, rejected map[string]dataset.Instruction) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	b := dataset.NewBuilder(dir, dataset.DefaultLimits)
	split, err := b.Split("", reflect.TypeFor[dataset.Instruction]())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range kept {
		if err := split.Write(reflect.ValueOf(r)); err != nil {
			t.Fatal(err)
		}
	}
	for reason, r := range rejected {
		if err := b.Reject(reflect.ValueOf(r), dataset.Reject{Reason: reason, Detail: "because\x1b[0m"}); err != nil {
			t.Fatal(err)
		}
	}
	m := &dataset.Manifest{Format: dataset.ManifestFormat, Stage: "filter", Version: 1, Options: []byte(options)}
	if err := b.Finish(m); err != nil {
		t.Fatal(err)
	}
	if err := b.Seal(m, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

type rejects = map[string]dataset.Instruction

func compare(t *testing.T, a, b string, show int) *Diff {
	t.Helper()
	d, err := Compare(t.Context(), a, b, show)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCompare: settings, counts, moves and the changed words of two runs.
func TestCompare(t *testing.T) {
	a := set(t, `{"min":3}`, []dataset.Instruction{row("same", "x"), row("changed", "القهوة مشروب حار جدا"), row("dropped", "short"),
		row("gone", "x")}, rejects{"script": row("back", "x"), "loop": row("stays", "x")})
	b := set(t, `{"min":5}`, []dataset.Instruction{row("back", "x"), row("same", "x"), row("changed", "القهوة مشروب بارد جدا"),
		row("new", "x")}, rejects{"short": row("dropped", "short"), "loop": row("stays", "x")})
	d := compare(t, a, b, 10)
	if d.Same != 2 || d.Changed != 1 || d.Columns["messages"] != 1 || len(d.Columns) != 1 || d.Compared != 1 || !d.Different() {
		t.Errorf("%+v", d)
	}
	for name, pair := range map[string][2]any{
		"settings": {d.Settings, []string{"option min was 3 and is now 5"}},
		"moved":    {d.Moved, []Move{{"kept", "rejected: short", 1}, {"rejected: script", "kept", 1}}},
		"only A":   {d.OnlyA, []Count{{"kept", 1}}},
		"only B":   {d.OnlyB, []Count{{"kept", 1}}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	want := `rows
  2 the same, 1 changed
  changed columns: messages in 1
  1 only in A (kept)
  1 only in B (kept)
moved
  1 kept → rejected: short
  1 rejected: script → kept

── changed · changed, kept ─────────────────────────
  messages 2 (assistant)
    القهوة مشروب [-حار-]{+بارد+} جدا

── dropped · kept → rejected: short ────────────────
  because\x1b[0m
  سؤال dropped
  short

── gone · only in A, kept ──────────────────────────
`
	if got := d.Render(look.Style{Width: 52}); !strings.Contains(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	coloured := d.Render(look.Style{Width: 52, Mode: bidi.Isolate, Colour: true})
	if !strings.Contains(coloured, "\u2067القهوة مشروب \x1b[9;31mحار\x1b[0m\x1b[32mبارد\x1b[0m جدا\u2069") ||
		strings.Contains(coloured, "because\x1b") {
		t.Errorf("%q", coloured)
	}
	if d := compare(t, a, b, 1); len(d.Rows) != 1 || d.Changed != 1 {
		t.Errorf("%+v", d)
	}
}

// TestSameRowsInOtherForms: a dataset, the same rows as JSON lines and in another order are
// the same.
func TestSameRowsInOtherForms(t *testing.T) {
	rows := []dataset.Instruction{row("a", "x"), row("b", "y"), row("c", "z")}
	rows[0].Segments = []dataset.Segment{{Source: "s", Target: "t", Score: -0.123}}
	rows[0].Seed = 1<<62 + 1
	dir := set(t, "{}", rows, nil)
	lines := testfiles.JSONLines(t, rows[2], rows[0], rows[1])
	if d := compare(t, dir, lines, 5); d.Different() || d.Same != 3 || len(d.Rows) != 0 {
		t.Errorf("%+v", d)
	}
	rows[0].Seed++ // beyond what a float64 tells apart
	if d := compare(t, dir, testfiles.JSONLines(t, rows...), 5); d.Changed != 1 || d.Columns["seed"] != 1 {
		t.Errorf("%+v", d)
	}
}

// TestRowsWithoutIDs: rows without ids are compared by their content, and rows with the
// same id in order.
func TestRowsWithoutIDs(t *testing.T) {
	type q struct {
		ID       string `json:"id,omitempty"`
		Question string `json:"question"`
	}
	a := testfiles.JSONLines(t, q{"", "one"}, q{"", "one"}, q{"", "two"}, q{"x", "first"}, q{"x", "second"})
	b := testfiles.JSONLines(t, q{"", "one"}, q{"", "two"}, q{"x", "first"}, q{"x", "other"})
	d := compare(t, a, b, 5)
	if d.Same != 3 || d.Changed != 1 || len(d.OnlyA) != 1 || d.OnlyA[0].Rows != 1 || len(d.OnlyB) != 0 {
		t.Errorf("%+v", d)
	}
	_, err := Compare(t.Context(), a, filepath.Join(t.TempDir(), "none"), 1)
	badinputtest.Want(t, err, "none")
}

// TestWords: the pieces of each side, put together, are its text.
func TestWords(t *testing.T) {
	for _, c := range [][3]string{
		{"a b c", "a x c", "a [b]{x} c"},
		{"", "a", "{a}"},
		{"a", "", "[a]"},
		{"same", "same", "same"},
		{"one two\nthree", "one\nthree four", "one[ two]\nthree{ four}"},
	} {
		var b strings.Builder
		for _, p := range Words(c[0], c[1]) {
			switch {
			case p.Old && p.New:
				b.WriteString(p.Text)
			case p.Old:
				b.WriteString("[" + p.Text + "]")
			default:
				b.WriteString("{" + p.Text + "}")
			}
		}
		if b.String() != c[2] {
			t.Errorf("%q, %q: %q, want %q", c[0], c[1], b.String(), c[2])
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("a b c", "a c\nd")
	f.Add(" \n ", "\xff x")
	f.Fuzz(func(t *testing.T, a, b string) {
		var x, y strings.Builder
		for _, p := range Words(a, b) {
			if p.Old {
				x.WriteString(p.Text)
			}
			if p.New {
				y.WriteString(p.Text)
			}
		}
		if x.String() != a || y.String() != b {
			t.Fatal(fmt.Sprintf("%q %q", x.String(), y.String()))
		}
	})
}
