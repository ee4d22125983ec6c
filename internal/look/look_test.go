package look

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/bidi"
	"barka/internal/testfiles"
)

var update = flag.Bool("update", false, "write the golden files")

// visible writes what a terminal acts upon so that a golden file can be read.
var visible = strings.NewReplacer("\x1b", "␛", "\u2066", "⟪L ", "\u2067", "⟪R ", "\u2069", "⟫")

// fixture has a translated row, a hostile one, a passage and a row of another program.
var fixture = filepath.Join("testdata", "rows.jsonl")

func rows(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	var text string
	for _, l := range lines {
		text += strings.ReplaceAll(l, "\n", "") + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRow holds what rows of each kind look like, in every mode.
func TestRow(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct {
		name  string
		style Style
	}{
		{"isolate", Style{Mode: bidi.Isolate, Width: 60}},
		{"isolate, right, colour", Style{Mode: bidi.Isolate, Width: 60, Right: true, Colour: true}},
		{"reorder, beside", Style{Mode: bidi.Reorder, Width: 90, Beside: true}},
		{"plain", Style{Width: 60}},
		{"columns", Style{Mode: bidi.Isolate, Width: 60, Columns: []string{"messages", "title", "segments", "none"}}},
	} {
		b.WriteString("==== " + c.name + "\n")
		for r, err := range Rows(t.Context(), fixture) {
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(c.style.Row(r) + "\n")
		}
	}
	got, golden := visible.Replace(b.String()), filepath.Join("testdata", "rows.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("other lines than in %s (go test -update writes it):\n%s", golden, got)
	}
}

// TestHostileRow: nothing of an untrusted row reaches the terminal that it acts upon. Only
// the isolates of the layout itself remain, and each ends on its line.
func TestHostileRow(t *testing.T) {
	for r, err := range Rows(t.Context(), fixture) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []Style{{Mode: bidi.Isolate, Width: 40}, {Mode: bidi.Reorder, Width: 30}, {Width: 200, Beside: true},
			{Width: 40, Columns: []string{"id", "messages", "extra", "reason"}}} {
			for line := range strings.Lines(s.Row(r)) {
				open := 0
				for _, c := range line {
					switch {
					case c == '\u2066' || c == '\u2067':
						open++
					case c == '\u2069':
						open--
					case c < ' ' && c != '\n', c >= 0x7f && c < 0xa0, c >= 0x202a && c <= 0x202e, c == '\u2068', c == '\u200b':
						t.Errorf("style %+v: %q", s, line)
					}
				}
				if open != 0 {
					t.Errorf("isolates of %q", line)
				}
			}
		}
	}
}

func ids(t *testing.T, s Selection, path string) (out []string) {
	t.Helper()
	for r, err := range s.Read(t.Context(), path) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.ID())
	}
	return out
}

func TestSelection(t *testing.T) {
	var lines []string
	for _, id := range strings.Split("abcdefghij", "") {
		form := "reading"
		if id > "e" {
			form = "choice"
		}
		lines = append(lines, `{"id":"`+id+`","form":"`+form+`","n":`+string(id[0]-'a'+'0')+`,"score":-0.25,
			"messages":[{"role":"user","content":"Row `+id+`"},{"role":"assistant","content":"قهوة"}],"segments":[{"flags":["f`+id+`"]}]}`)
	}
	path := rows(t, lines...)
	where := func(conditions ...string) (s Selection) {
		for _, text := range conditions {
			c, err := ParseCondition(text)
			if err != nil {
				t.Fatal(err)
			}
			s.Where = append(s.Where, c)
		}
		return s
	}
	for _, c := range []struct {
		s    Selection
		want string
	}{
		{Selection{}, "abcdefghij"},
		{Selection{Limit: 3}, "abc"},
		{Selection{Skip: 8, Limit: 3}, "ij"},
		{Selection{IDs: []string{"d", "b"}}, "bd"},
		{where("form=choice"), "fghij"},
		{where("form!=choice", "n!=2"), "abde"},
		{where("messages~ROW C"), "c"},
		{where("messages.content=Row c"), "c"},
		{where("segments.flags=fh"), "h"},
		{where("n=3"), "d"},
		{where("score=-0.25", "messages~قهوة", "id=a"), "a"},
	} {
		if got := strings.Join(ids(t, c.s, path), ""); got != c.want {
			t.Errorf("%+v: %s, want %s", c.s, got, c.want)
		}
	}
	sample := ids(t, Selection{Sample: 4, Seed: 1}, path)
	if len(sample) != 4 || !slices.IsSorted(sample) || !slices.Equal(sample, ids(t, Selection{Sample: 4, Seed: 1}, path)) ||
		slices.Equal(sample, ids(t, Selection{Sample: 4, Seed: 2}, path)) && slices.Equal(sample, ids(t, Selection{Sample: 4, Seed: 3}, path)) {
		t.Errorf("sample %v", sample)
	}
	failure := func(s Selection) (last error) {
		for _, err := range s.Read(t.Context(), path) {
			last = err
		}
		return last
	}
	badinputtest.Want(t, failure(where("frm=x")), "frm", "did you mean form", "columns: form, id")
	badinputtest.Want(t, failure(Selection{IDs: []string{"a", "zz"}}), "id zz")
	for _, bad := range []string{"", "form", "=x", "a>b"} {
		if _, err := ParseCondition(bad); err == nil {
			t.Errorf("condition %q is accepted", bad)
		}
	}
}

// TestRowsOfRejected: rejected rows that a dataset keeps as JSON come with their columns.
func TestRowsOfRejected(t *testing.T) {
	path := testfiles.JSONLines(t, map[string]any{"row": `{"id":"x","n":12345678901234567890}`, "reason": "r", "detail": "d"})
	for r, err := range Rows(t.Context(), path) {
		if err != nil || r.ID() != "x" || r.Text("reason") != "r" || Text(r.Columns["n"]) != "12345678901234567890" {
			t.Errorf("%v, %v", r, err)
		}
	}
	for _, bad := range []string{"null", "[1]", "{"} {
		for _, err := range Rows(t.Context(), rows(t, `{"id":"x"}`, bad)) {
			if err != nil {
				badinputtest.Want(t, err, "line 2")
			}
		}
	}
}
