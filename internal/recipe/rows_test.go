package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/stage/convert"
	"barka/internal/stage/filter"
	"barka/internal/stage/translate"
	"barka/internal/testfiles"
)

// sampleSet is a sample of a benchmark's rows, with the number of rows that convert and
// filter keep.
type sampleSet struct {
	benchmark, path, split string
	converted, kept        int64
}

// ownRows are the test rows of package convert.
var ownRows = []sampleSet{
	{"boolq", "boolq.jsonl", "train", 2, 2}, {"race", "race", "train", 3, 3}, {"copa", "copa.jsonl", "train", 2, 2},
	{"hellaswag", "hellaswag.jsonl", "train", 2, 2}, {"sciq", "sciq.json", "train", 2, 2},
	{"arc-challenge", "arc-challenge.jsonl", "train", 2, 2}, {"arc-easy", "arc-easy.jsonl", "train", 2, 2},
	{"openbookqa", "openbookqa.jsonl", "train", 2, 2}, {"piqa", "piqa", "train", 2, 2}, {"gsm8k", "gsm8k.jsonl", "train", 1, 1},
	{"toxigen", "toxigen.jsonl", "train", 3, 3}, {"mmlu-auxiliary", "mmlu.jsonl", "train", 3, 3},
	{"statements", "statements.jsonl", "train", 2, 2},
	{"alpaca", "alpaca.json", "train", 2, 2}, {"sharegpt", "sharegpt.jsonl", "train", 2, 2},
}

// sharedRows are genuine rows, which are not distributed with the repository.
var sharedRows = []sampleSet{
	{"boolq", "english/boolq/fewglue_train_32.jsonl", "train", 32, 32},
	{"boolq", "english/hf-dummy/boolq_dummy_0.1.0.zip", "train", 3, 3},
	{"boolq", "english/hf-dummy/super_glue_dummy_boolq_1.0.2.zip", "train", 3, 3},
	{"copa", "english/copa/train.jsonl", "train", 368, 368},
	{"copa", "english/copa/val.jsonl", "train", 100, 100},
	{"copa", "english/hf-dummy/super_glue_copa.zip", "train", 3, 3},
	{"gsm8k", "english/gsm8k/train.jsonl", "train", 7473, 7473},
	{"gsm8k", "english/gsm8k/test.jsonl", "train", 1319, 1319},
	{"hellaswag", "english/hf-dummy/hellaswag_dummy_0.1.0.zip", "train", 2, 2},
	{"race", "english/hf-dummy/race_dummy_all_0.1.0.zip", "train", 22, 22},
	{"race", "english/hf-dummy/race_dummy_all_0.1.0.zip", "validation", 17, 17},
	{"race", "english/hf-dummy/race_dummy_all_0.1.0.zip", "test", 22, 22},
	{"race", "english/hf-dummy/race_dummy_middle_0.1.0.zip", "train", 10, 10},
	{"sciq", "english/hf-dummy/sciq_dummy_0.1.0.zip", "train", 3, 3},
	{"sciq", "english/hf-dummy/sciq_dummy_0.1.0.zip", "validation", 3, 3},
	{"arc-challenge", "english/hf-dummy/ai2_arc_dummy_ARC-Challenge_1.0.0.zip", "train", 3, 3},
	{"arc-easy", "english/hf-dummy/ai2_arc_dummy_ARC-Easy_1.0.0.zip", "train", 3, 3},
	{"openbookqa", "english/hf-dummy/openbookqa_dummy_main_1.0.1.zip", "train", 4, 4},
	{"piqa", "english/hf-dummy/piqa_dummy_plain_text_1.1.0.zip", "train", 5, 5},
	{"alpaca", "english/llm-adapters/ARC-Challenge/train.json", "train", 1118, 1118},
	{"alpaca", "english/llm-adapters/ARC-Challenge/test.json", "train", 1172, 1170}, // two questions in two wordings
	{"alpaca", "english/llm-adapters/ARC-Easy/train.json", "train", 2251, 2251},
	{"alpaca", "english/llm-adapters/ARC-Easy/test.json", "train", 2376, 2370}, // six questions in two wordings
	{"alpaca", "english/llm-adapters/boolq/test.json", "train", 3270, 3262},    // one differs only in punctuation, seven in a word
	{"alpaca", "english/llm-adapters/openbookqa/test.json", "train", 500, 500},
	{"alpaca", "english/llm-adapters/piqa/test.json", "train", 1838, 1838},
	{"alpaca", "sft/axolotl/alpaca/alpaca.json", "train", 2, 2},
	{"sharegpt", "sft/axolotl/conversation.json", "train", 1, 1},
	{"sharegpt", "sft/axolotl/conversation.missingturns.json", "train", 0, 0}, // its one row has an empty turn
}

// TestRowsOfEveryRecipe converts every sample set and filters it by the rules of every
// shipped recipe: of the rows of a benchmark no recipe drops any but duplicates and
// near-duplicates, which the rules of parity.yaml keep.
func TestRowsOfEveryRecipe(t *testing.T) {
	for name, o := range shippedFilters(t) {
		for _, s := range slices.Concat(rooted(filepath.Join("..", "stage", "convert", "testdata", "in"), ownRows),
			rooted(shared(t), sharedRows)) {
			want := s.kept
			if name == "parity.yaml" {
				want = s.converted
			}
			rows, m := convertAndFilter(t, s, o)
			if rows != s.converted || m.Rows != want {
				t.Errorf("%s: %s: %d converted, %d kept of %v; want %d and %d", name, s.path, rows, m.Rows, m.Counts, s.converted, want)
			}
		}
	}
}

// shippedFilters are the rules of the recipes in the repository.
func shippedFilters(t *testing.T) map[string]filter.Options {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "recipes", "*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d recipes, %v", len(files), err)
	}
	all := map[string]filter.Options{}
	for _, f := range files {
		r, err := Load(f)
		if err != nil {
			t.Fatal(err)
		}
		if r.Filter != nil {
			all[filepath.Base(f)] = *r.Filter
		}
	}
	for f, o := range all { // most have the same rules
		if f != "quickstart.yaml" && reflect.DeepEqual(o, all["quickstart.yaml"]) {
			delete(all, f)
		}
	}
	if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, []string{"parity.yaml", "quickstart.yaml"}) {
		t.Fatalf("recipes of different rules: %v", names)
	}
	return all
}

// shared is the directory of the shared reference data, "" without one.
func shared(t *testing.T) string {
	t.Helper()
	root, ok := testfiles.FindShared(t)
	if !ok {
		t.Log("the genuine rows are not here (BARKA_SHARED): the repository's own alone")
		return ""
	}
	return root
}

func rooted(root string, sets []sampleSet) []sampleSet {
	if root == "" {
		return nil
	}
	sets = slices.Clone(sets)
	for i := range sets {
		sets[i].path = filepath.Join(root, filepath.FromSlash(sets[i].path))
	}
	return sets
}

func convertAndFilter(t *testing.T, s sampleSet, o filter.Options) (converted int64, m *dataset.Manifest) {
	t.Helper()
	out, rows := convertSet(t, s)
	if rows == 0 {
		return 0, &dataset.Manifest{} // stages refuse inputs without rows
	}
	m, err := filter.Run(t.Context(), o, stageIO(t, "instructions", out))
	if err != nil {
		t.Fatalf("%s: %v", s.path, err)
	}
	return rows, m
}

func convertSet(t *testing.T, s sampleSet) (dir string, rows int64) {
	t.Helper()
	o := convert.Defaults()
	o.Benchmark, o.Split = s.benchmark, s.split
	path := s.path
	if strings.HasSuffix(path, ".zip") {
		path = testfiles.Unzip(t, path)
	}
	env := stageIO(t, "data", path)
	m, err := convert.Run(t.Context(), o, nil, env)
	if err != nil {
		t.Fatalf("%s: %v", s.path, err)
	}
	return env.Out, m.Rows
}

func stageIO(t *testing.T, name, path string) durable.Env {
	return durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{name: path}, Seed: 42, Progress: progress.Silent}
}

// spelled is a translator that writes every word in Arabic letters, so that the filter
// treats its output as a correct translation.
type spelled struct{}

func (spelled) Name() string { return "spelled" }

func (spelled) CountTokens(s string) int  { return len(s)/4 + 1 }
func (spelled) RoundTrip(s string) string { return s }

func (spelled) Translate(_ context.Context, texts []string, done func()) ([]translate.Translation, error) {
	out := make([]translate.Translation, len(texts))
	for i, s := range texts {
		out[i] = translate.Translation{Score: -0.5, Text: strings.Map(func(r rune) rune {
			if r = unicode.ToLower(r); r >= 'a' && r <= 'z' {
				return []rune("ابپتثجحخدذرزسشصضطظعغفقكلمن")[r-'a']
			}
			return r
		}, s)}
		if done != nil {
			done()
		}
	}
	return out, nil
}

// TestTranslatedRows: rows of every set are kept after translation too, except those whose
// translation lost what their form needs.
func TestTranslatedRows(t *testing.T) {
	sets := rooted(filepath.Join("..", "stage", "convert", "testdata", "in"), ownRows)
	for _, s := range rooted(shared(t), sharedRows) {
		if !strings.Contains(s.path, "llm-adapters") && s.kept < 5000 {
			sets = append(sets, s)
		}
	}
	for _, s := range sets {
		dir, rows := convertSet(t, s)
		if rows == 0 {
			continue // stages refuse inputs without rows
		}
		o := translate.Defaults()
		o.Model = "spelled"
		env := stageIO(t, "instructions", dir)
		if _, err := translate.Run(t.Context(), o, translate.Tools{Translator: spelled{}}, env); err != nil {
			t.Fatalf("%s: %v", s.path, err)
		}
		out := stageIO(t, "instructions", env.Out)
		rules := filter.Defaults()
		rules.Each(func(r *filter.Rules) { r.MinLanguage = 0 }) // what spelled writes is of no language
		m, err := filter.Run(t.Context(), rules, out)
		if err != nil {
			t.Fatal(err)
		}
		if m.Rows != s.kept {
			t.Errorf("%s: %d kept after translation, want %d: %v", s.path, m.Rows, s.kept, m.Counts)
			rejects(t, out.Out)
		}
	}
}

// TestGenuineTranslations filters professional translations of news (NTREX) as if barka had
// made them, in rows of every form except arithmetic.
func TestGenuineTranslations(t *testing.T) {
	root := shared(t)
	if root == "" {
		t.Skip("the parallel texts are not here")
	}
	lines := func(name string) []string {
		data, err := os.ReadFile(filepath.Join(root, "parallel", "ntrex", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	ar, en := lines("newstest2019-ref.arb.txt"), lines("newstest2019-src.eng.txt")
	for form, least := range map[string]float64{ // news has short sentences, and names in Latin letters
		dataset.FormQuestion: 0.975, dataset.FormConversation: 0.975, dataset.FormChoice: 0.99, dataset.FormReading: 0.99,
		dataset.FormInstruction: 0.99,
	} {
		var rows []dataset.Instruction
		for i := 0; i+1 < len(ar); i += 2 {
			talk := func(s []string) []chat.Message {
				return []chat.Message{{Role: "user", Content: s[i]}, {Role: "assistant", Content: s[i+1]}}
			}
			rows = append(rows, dataset.Instruction{ID: fmt.Sprint(i), Form: form, Language: "arb_Arab",
				Messages: talk(ar), MessagesEN: talk(en)})
		}
		out := stageIO(t, "instructions", testfiles.JSONLines(t, rows...))
		m, err := filter.Run(t.Context(), filter.Defaults(), out)
		if err != nil {
			t.Fatal(err)
		}
		if share := float64(m.Rows) / float64(m.Counts["in"]); share < least {
			t.Errorf("%s: %.3f kept, expected %.2f: %v", form, share, least, m.Counts)
			rejects(t, out.Out)
		}
	}
}

// TestGenuineChoices keeps all of Okapi's Arabic ARC, with its formulas, except the one
// question that occurs twice.
func TestGenuineChoices(t *testing.T) {
	root := shared(t)
	if root == "" {
		t.Skip("the Arabic questions are not here")
	}
	var rows []dataset.Instruction
	for _, split := range []string{"train", "test", "validation"} {
		data, err := os.ReadFile(filepath.Join(root, "oall", "okapi", "m_arc", "ar_"+split+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var questions []map[string]any
		if err := json.Unmarshal(data, &questions); err != nil {
			t.Fatal(err)
		}
		for _, q := range questions {
			ask, answer := fmt.Sprint(q["instruction"]), ""
			for i, letter := range []string{"a", "b", "c", "d", "e"} {
				if text, ok := q["option_"+letter].(string); ok && text != "" {
					ask += fmt.Sprintf("\n%d. %s", i+1, text)
					if strings.ToLower(fmt.Sprint(q["answer"])) == letter {
						answer = fmt.Sprintf("%d) %s", i+1, text)
					}
				}
			}
			if answer == "" {
				continue
			}
			rows = append(rows, dataset.Instruction{ID: fmt.Sprint(len(rows) + 1), Form: dataset.FormChoice, Language: "arb_Arab",
				Messages: []chat.Message{{Role: "user", Content: ask}, {Role: "assistant", Content: answer}}})
		}
	}
	out := stageIO(t, "instructions", testfiles.JSONLines(t, rows...))
	m, err := filter.Run(t.Context(), filter.Defaults(), out)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 2500 || m.Counts["rejected"] != 1 || m.Counts["rejected_duplicate"] != 1 {
		t.Errorf("%d questions: %v", len(rows), m.Counts)
		rejects(t, out.Out)
	}
}

// rejects returns the dropped rows with their reasons.
func rejects(t *testing.T, dir string) {
	t.Helper()
	for r, err := range dataset.Rows[map[string]any](t.Context(), filepath.Join(dir, "rejected")) {
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %v: %v", r["reason"], r["detail"], r["messages"])
	}
}
