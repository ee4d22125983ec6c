package mix

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/testfiles"
)

// TestOriginIsKept: what earlier stages know of a row is in the mix.
func TestOriginIsKept(t *testing.T) {
	r := row("x", "wiki-single")
	r.Form, r.Kind, r.PassageID, r.Title, r.URL, r.Revision = "question", "why", "p1", "Coffee", "https://w/?oldid=7", 7
	r.PromptDigest, r.Cluster, r.Repaired, r.Shortened = "d1", "c1", 1, "2 of 3 turns"
	r.Segments = []dataset.Segment{{Flags: []string{"length_ratio", "hit_max"}}, {Flags: []string{"hit_max"}}}
	dir, _ := mix(t, Defaults(), 1, testfiles.JSONLines(t, r))
	got := read(t, dir)[0]
	want := dataset.Conversation{ID: "x", Dataset: "wiki-single", Form: "question", Kind: "why", Language: "arb_Arab",
		PassageID: "p1", Title: "Coffee", URL: "https://w/?oldid=7", Revision: 7, Licence: r.Licence, Generator: "gemma",
		PromptDigest: "d1", Translator: "facebook/nllb-200-600M", Cluster: "c1",
		Checks:        []string{"hit_max", "length_ratio", "repaired", "shortened"},
		Conversations: turnsOf(r.Messages), Messages: r.Messages}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestCard: front matter, counts, examples in their direction with their markup escaped, and
// what the stages before dropped.
func TestCard(t *testing.T) {
	root := t.TempDir()
	in := filepath.Join(root, "4-clean")
	rows := rowsOf("a", 4)
	for i := range rows {
		rows[i].Form, rows[i].Kind = dataset.Forms()[i], "why"
		rows[i].Messages[0].Content = "ما <b>هذا</b>؟\nسطر"
	}
	stage(t, filepath.Join(root, "3-translated"), rows, nil, nil)
	// A stage that drops nothing has the digest of its input.
	stage(t, filepath.Join(root, "3-unchanged"), rows, map[string]string{"in": filepath.Join(root, "3-translated")}, nil)
	stage(t, in, rows, map[string]string{"in": filepath.Join(root, "3-unchanged")}, rowsOf("bad", 3))
	o := Defaults()
	o.Name = `Set: "one"`
	dir, _ := mix(t, o, 1, in)
	card := string(testfiles.Read(t, filepath.Join(dir, "README.md")))
	for _, want := range []string{"size_categories:\n- n<1K\n", `pretty_name: "Set: \"one\""`, "- synthetic\n- machine-translated\n",
		"  - split: train\n    path: part-*.parquet\n---\n", `<div dir="rtl" lang="ar">`, "ما &lt;b&gt;هذا&lt;/b&gt;؟<br>سطر",
		"Kinds of generated turns: why 4.", "| input0 | test | 4 | 4 |  |\n| input0 | test | 4 | 4 |  |\n| input0 | test | 7 | 4 | short 3 |",
		"## Intended use", "## Limitations"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
	if n := strings.Count(card, "<div dir="); n != maxExamples {
		t.Errorf("%d examples, want %d", n, maxExamples)
	}
}

// stage writes a dataset directory as a stage does.
func stage(t *testing.T, out string, rows []dataset.Instruction, in map[string]string, rejected []dataset.Instruction) {
	t.Helper()
	b := dataset.NewBuilder(out, dataset.DefaultLimits)
	s, err := b.Split("", reflect.TypeFor[dataset.Instruction]())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := s.Write(reflect.ValueOf(r)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rejected {
		if err := b.Reject(reflect.ValueOf(r), dataset.Reject{Reason: "short"}); err != nil {
			t.Fatal(err)
		}
	}
	m := &dataset.Manifest{Format: dataset.ManifestFormat, Stage: "test", Options: json.RawMessage("{}"),
		Inputs: map[string]dataset.InputInfo{}}
	for name, path := range in {
		if m.Inputs[name], err = dataset.Examine(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Finish(m); err != nil {
		t.Fatal(err)
	}
	m.Counts["in"] = m.Counts["out"] + m.Counts["rejected"]
	if err := b.Seal(m, nil); err != nil {
		t.Fatal(err)
	}
}

// TestCroissant: every file of rows has its digest, and every column a field. The library
// mlcroissant reads the file in reference/light/check.py.
func TestCroissant(t *testing.T) {
	o := Defaults()
	o.Validation = 0.3
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 40)...))
	var c struct {
		License      string
		Distribution []struct {
			ID     string `json:"@id"`
			SHA256 string
		}
		RecordSet []struct {
			Name  string
			Field []struct {
				Name        string
				Description string
				Repeated    bool
				SubField    []struct {
					Source struct {
						Extract   struct{ Column string }
						Transform struct{ JSONPath string }
					}
				}
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, CroissantName))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, d := range c.Distribution {
		digests[d.ID] = d.SHA256
	}
	files := 0
	for _, f := range m.Files {
		if strings.HasSuffix(f.Name, ".parquet") {
			if files++; digests[f.Name] != f.SHA256 {
				t.Errorf("%s has digest %q, want %q", f.Name, digests[f.Name], f.SHA256)
			}
		}
	}
	if files != 2 || len(c.RecordSet) != 2 || c.License != "https://creativecommons.org/licenses/by-sa/4.0/" {
		t.Fatalf("%d files, %d record sets, licence %s", files, len(c.RecordSet), c.License)
	}
	fields := c.RecordSet[1].Field
	if len(fields) != reflect.TypeFor[dataset.Conversation]().NumField() {
		t.Errorf("%d fields", len(fields))
	}
	for _, f := range fields {
		if f.Description == "" {
			t.Errorf("%s has no description", f.Name)
		}
	}
	last := fields[len(fields)-1]
	if last.Name != "messages" || !last.Repeated || len(last.SubField) != reflect.TypeFor[chat.Message]().NumField() ||
		last.SubField[1].Source.Extract.Column != "messages" || last.SubField[1].Source.Transform.JSONPath != "content" {
		t.Errorf("%+v", last)
	}
}

// TestTokensBeforeAndAfter: sources.json has the tokens of each source before and after, in
// both languages.
func TestTokensBeforeAndAfter(t *testing.T) {
	o := Defaults()
	o.Limits = map[string]int{"a": 2}
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 10)...), testfiles.JSONLines(t, rowsOf("b", 3)...))
	s, err := ReadSources(dir)
	if err != nil {
		t.Fatal(err)
	}
	columns, rows := s.Table()
	want := [][]any{
		{"a", int64(10), int64(2), int64(2), int64(0), int64(50), int64(10), int64(40), int64(8)},
		{"b", int64(3), int64(3), int64(3), int64(0), int64(15), int64(15), int64(12), int64(12)},
		{"all", int64(13), int64(5), int64(5), int64(0), int64(65), int64(25), int64(52), int64(20)},
	}
	if !reflect.DeepEqual(rows, want) || len(columns) != len(want[0]) {
		t.Errorf("%v\n%v", columns, rows)
	}
	if m.Tokens["arb_Arab/words"] != 25 || m.Tokens["eng_Latn/words"] != 20 {
		t.Errorf("tokens %v", m.Tokens)
	}
}

// TestLanguageTag: cards have the shortest code of any language.
func TestLanguageTag(t *testing.T) {
	for code, want := range map[string]string{"arb_Arab": "ar", "arz_Arab": "arz", "eng_Latn": "en", "ind_Latn": "id", "tur_Latn": "tr",
		"urd_Arab": "ur", "zho_Hans": "zh", "swe_Latn": "sv",
		"rus_Cyrl": "ru", "ben_Beng": "bn", "pes_Arab": "fa", "ace_Latn": "ace", "??": "??"} {
		if got := LanguageTag(code); got != want {
			t.Errorf("LanguageTag(%q) = %q, want %q", code, got, want)
		}
	}
}
