package mix

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// licensed are rows of datasets called like their licences' places in the list.
func licensed(licences ...string) []dataset.Instruction {
	var out []dataset.Instruction
	for i, l := range licences {
		r := row(fmt.Sprintf("r%d", i), fmt.Sprintf("set%d", i))
		r.Licence = l
		out = append(out, r)
	}
	return out
}

func card(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTag: the card's licence is the strictest that covers every row.
func TestTag(t *testing.T) {
	for _, c := range []struct {
		want     string
		licences []string
	}{
		{"cc-by-sa-4.0", []string{"CC BY-SA 3.0", "CC BY-SA 4.0", "MIT"}},
		{"mit", []string{"MIT", "CC0 1.0"}},
		{"other", []string{"CC BY-SA 4.0", "CC BY-NC 3.0"}},
		{"cc-by-nc-3.0", []string{"MIT", "CC BY-NC 3.0"}},
		{"other", []string{"MIT", "RACE terms: non-commercial research only"}},
		{"other", []string{"MIT", ""}},
		{"unknown", []string{"", "unknown"}},
	} {
		dir, _ := mix(t, Defaults(), 1, testfiles.JSONLines(t, licensed(c.licences...)...))
		if text := card(t, dir); !strings.Contains(text, "license: "+c.want+"\n") {
			t.Errorf("%q: want %s:\n%s", c.licences, c.want, text)
		}
	}
}

// TestLicenceOfTheSet: one that a source forbids is refused with the reason.
func TestLicenceOfTheSet(t *testing.T) {
	const race = "RACE terms: non-commercial research only"
	for _, c := range []struct {
		set, row, want string
	}{
		{"cc-by-sa-4.0", race, "set0 are under \"" + race + "\", which is for non-commercial research only"},
		{"cc-by-nc-4.0", race, "research only"},
		{"cc-by-sa-4.0", "CC BY-NC 3.0", "forbids commercial use"},
		{"mit", "CC BY-SA 4.0", "must be passed on under cc-by-sa-4.0 or a later version"},
		{"cc-by-sa-3.0", "CC BY-SA 4.0", "must be passed on"},
		{"cc-by-nc-sa-4.0", "CC BY-SA 4.0", "must be passed on"},
		{"cc0-1.0", "MIT", "asks for attribution"},
		{"cc-by-sa-4.0", "CC BY-SA 3.0", ""},
		{"cc-by-nc-4.0", "CC BY-NC 3.0", ""},
		{"cc-by-sa-4.0", "MIT", ""},
	} {
		o := Defaults()
		o.Licence = c.set
		out := filepath.Join(t.TempDir(), "mix")
		_, err := Run(t.Context(), o, nil, durable.Env{Out: out, In: map[string]string{"in": testfiles.JSONLines(t,
			licensed(c.row)...)}, Progress: progress.Silent})
		if (err == nil) != (c.want == "") || err != nil && (!badinput.Is(err) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s for rows under %s: %v, want %q", c.set, c.row, err, c.want)
		}
	}
	// After a refusal the same output can be begun with another licence.
	env := durable.Env{Out: filepath.Join(t.TempDir(), "mix"),
		In: map[string]string{"in": testfiles.JSONLines(t, licensed("CC BY-NC 3.0")...)}, Progress: progress.Silent}
	var err error
	for _, licence := range []string{"mit", "cc-by-nc-3.0"} {
		_, err = Run(t.Context(), Options{Name: "x", Licence: licence}, nil, env)
	}
	if err != nil {
		t.Error(err)
	}
	// What cannot be compared is counted and said.
	o := Defaults()
	o.Licence = "cc-by-sa-4.0"
	_, m := mix(t, o, 1, testfiles.JSONLines(t, licensed("", "Terms of Example", "MIT")...))
	if text := strings.Join(m.Notes, "; "); len(m.Notes) != 2 ||
		!strings.Contains(text, "1 rows of set0 have no known licence") || !strings.Contains(text, "Terms of Example") {
		t.Errorf("notes %q", m.Notes)
	}
}

// TestCardStatesTheSources: who asks for what, and what a machine wrote.
func TestCardStatesTheSources(t *testing.T) {
	rows := licensed("RACE terms: non-commercial research only", "CC BY-NC 3.0", "CC BY-SA 4.0", "unknown", "")
	rows[0].Generator, rows[0].Form = "", dataset.FormReading
	dir, _ := mix(t, Defaults(), 1, testfiles.JSONLines(t, rows...))
	text := card(t, dir)
	for _, want := range []string{
		"license: other\nlicense_name: of-each-source\n", "| set0 | 1 | RACE terms: non-commercial research only | " +
			"people | machine: facebook/nllb-200-600M |",
		"| set3 | 1 | unknown | machine: gemma |", "- **For research only**: set0.\n- **Non-commercial**: set0, " +
			"set1.\n- **Share alike** (cc-by-sa-4.0): set2.\n- **Unknown**: ask the source before you pass it on: set3, " +
			"set4.\n- **Attribution**: set0, set1, set2.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the card lacks %q:\n%s", want, text)
		}
	}
	for _, c := range read(t, dir) {
		if c.ID == "r0" && (c.Licence != rows[0].Licence || c.Translator == "" || c.Generator != "") {
			t.Errorf("%+v", c)
		}
	}
}

// TestUnknownLimit: a limit of a dataset that is not there is a mistake.
func TestUnknownLimit(t *testing.T) {
	o := Defaults()
	o.Limits = map[string]int{"sciqq": 4}
	_, err := Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "mix"),
		In: map[string]string{"in": testfiles.JSONLines(t, licensed("MIT")...)}, Progress: progress.Silent})
	if !badinput.Is(err) || !strings.Contains(err.Error(), "sciqq") || !strings.Contains(err.Error(), "set0") {
		t.Errorf("%v", err)
	}
}

// TestOtherRows: what is no dataset of instructions is refused, and nothing
// left is said.
func TestOtherRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passages.jsonl")
	if err := os.WriteFile(path, []byte(`{"id":"a","text":"A passage."}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Defaults(), nil,
		durable.Env{Out: filepath.Join(t.TempDir(), "mix"), In: map[string]string{"in": path},
			Progress: progress.Silent}); !badinput.Is(err) || !strings.Contains(err.Error(), "passages") {
		t.Errorf("%v", err)
	}
	empty := row("x", "a")
	empty.Messages[1].Content = ""
	if _, m := mix(t, Defaults(), 1, testfiles.JSONLines(t, empty)); len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "none of the 1 rows") {
		t.Errorf("notes %q", m.Notes)
	}
}
