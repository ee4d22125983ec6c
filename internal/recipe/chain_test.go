package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// demonstration copies testdata/chain, changes some lines of its recipe, and returns a
// runner.
func demonstration(t *testing.T, changes ...string) (*Runner, *Recipe) {
	t.Helper()
	dir := t.TempDir()
	path := testfiles.Chain(t, dir)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(changed, changes[i]) {
			t.Fatalf("the recipe has no %q", changes[i])
		}
		changed = strings.Replace(changed, changes[i], changes[i+1], 1)
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &Runner{Out: filepath.Join(t.TempDir(), "out"), Engine: backend.NewEngine(0, r.DType, nil),
		Say: func(Step) {}, Progress: progress.Silent, Log: slog.New(slog.DiscardHandler)}
	return w, r
}

// TestTrainDType: train.dtype is the type of the base weights, and is recorded with the
// adapter.
func TestTrainDType(t *testing.T) {
	for want, change := range map[string]string{"bf16": "  dtype: bf16\n", "f32": ""} {
		w, r := demonstration(t, "  dtype: f32\n", change, "epochs: 6", "epochs: 1")
		if err := w.Run(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		var s train.State
		if err := badinput.ReadJSON(filepath.Join(w.Out, adapterDir, train.StateFile), &s); err != nil {
			t.Fatal(err)
		}
		var o train.Options
		if err := json.Unmarshal(s.Options, &o); err != nil || o.DType != want || !strings.HasSuffix(s.ModelDigest, "-"+want) {
			t.Errorf("dtype %q of weights %q, want %s (%v)", o.DType, s.ModelDigest, want, err)
		}
	}
}

// TestNothingDoesNotSucceed: a stage without output rows ends the run with its rejections.
// If only one of several sets has no rows left, or the validation set has none, the run
// continues with a note.
func TestNothingDoesNotSucceed(t *testing.T) {
	for _, c := range []struct {
		change, to, stage, want string
	}{
		{"  dump: data/pages.xml\n", "  dump: data/pages.xml\n  min_chars: 100000\n", "wiki", "wiki made no rows: "},
		{"  min_answer_words: 3\n", "  min_answer_words: 100000\n", "filter questions", "filter made no rows"},
		{"  validation: 0.15\n", "  limits: {demo-single: 0, demo-multi: 0, questions: 0}\n", "mix",
			"mix made no rows: 30 are rejected (over_limit 30)"},
	} {
		w, r := demonstration(t, c.change, c.to)
		last := ""
		w.Say = func(s Step) { last = s.Stage }
		err := w.Run(context.Background(), r)
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), "--restart") || last != c.stage {
			t.Errorf("%s: %v after %s, expected %q", c.to, err, last, c.want)
		}
		if exists(filepath.Join(w.Out, adapterDir)) {
			t.Errorf("%s: it was trained all the same", c.to)
		}
	}
	w, r := demonstration(t, "    benchmark: alpaca\n    data: data/questions.jsonl\n", "    benchmark: alpaca\n    data: data/empty.jsonl\n",
		"epochs: 6", "epochs: 1", "validation: 0.15", "validation: 0.0001")
	if err := os.WriteFile(filepath.Join(r.dir, "data", "empty.jsonl"), []byte(`{"instruction": "", "output": ""}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	notes := map[string][]string{}
	w.Say = func(s Step) { notes[s.Stage] = s.Notes }
	if err := w.Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	if _, went := notes["translate questions"]; went || len(notes["convert questions"]) != 1 || len(notes["mix"]) != 1 ||
		notes["eval tuned"] != nil {
		t.Errorf("notes %v", notes)
	}
}

// TestAcrossSets: with across_sets a set loses the rows that an earlier one has, in the order in
// which the chain takes them, and the card of the mix follows each set back through its own
// stages.
func TestAcrossSets(t *testing.T) {
	dir := t.TempDir()
	line := func(id, question, answer string) string {
		return fmt.Sprintf(`{"id":%q,"dataset":"own","form":"instruction","language":"arb_Arab","licence":"CC0","messages":`+
			`[{"role":"user","content":%q},{"role":"assistant","content":%q}]}`+"\n", id, question, answer)
	}
	coffee := [2]string{"كيف تقدم القهوة في الخليج العربي؟", "تحضر القهوة خفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض."}
	tea := [2]string{"متى يزرع الشاي في الجبال؟", "يزرع في المرتفعات بعد موسم الأمطار، وتقطف أوراقه بالأيدي في الربيع."}
	for name, rows := range map[string]string{"a.jsonl": line("a1", coffee[0], coffee[1]),
		"b.jsonl": line("b1", coffee[0], coffee[1]) + line("b2", tea[0], tea[1])} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(rows), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for across, want := range map[bool]int64{false: 3, true: 2} {
		path := filepath.Join(dir, fmt.Sprint(across, ".yaml"))
		text := fmt.Sprintf("name: sets\ninputs: {instructions: {a: a.jsonl, b: b.jsonl}}\nfilter: {across_sets: %v}\nmix: {}\n", across)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		w := &Runner{Out: filepath.Join(t.TempDir(), "out"), Engine: backend.NewEngine(0, r.DType, nil),
			Say: func(Step) {}, Progress: progress.Silent, Log: slog.New(slog.DiscardHandler)}
		for range 2 { // the second run finds all done
			if err := w.Run(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		m, err := dataset.ReadManifest(filepath.Join(w.Out, mixDir))
		if err != nil || m.Rows != want {
			t.Errorf("across %v: %v, %v", across, m, err)
		}
		b, err := dataset.ReadManifest(filepath.Join(w.Out, cleanDir+"-b"))
		if err != nil || b.Counts["rejected_duplicate_across_sets"] != 3-want {
			t.Errorf("across %v: %v, %v", across, b.Counts, err)
		}
		card, err := os.ReadFile(filepath.Join(w.Out, mixDir, "README.md"))
		if err != nil || strings.Count(string(card), "| b | filter |") != 1 || strings.Count(string(card), "| a | filter |") != 1 {
			t.Errorf("across %v: %v\n%s", across, err, card)
		}
	}
}
