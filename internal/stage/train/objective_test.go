package train_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// texts are documents, most of them longer than a context of 40 tokens, and one repeated.
func texts(t *testing.T) string {
	t.Helper()
	var lines []string
	for i, n := range []int{1, 9, 3, 30, 2, 1, 14} {
		data, err := json.Marshal(map[string]string{"text": strings.Repeat("Coffee is served in small cups. ", n)[i:]})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	return dataset(t, append(lines, lines[1])...)
}

// preferences are pairs in the three forms of TRL's datasets.
func preferences(t *testing.T) string {
	t.Helper()
	return dataset(t,
		`{"prompt":"How is coffee served?","chosen":"In small cups.","rejected":"In barrels of oil."}`,
		`{"prompt":[{"role":"user","content":"And in Oman?"}],"chosen":[{"role":"assistant","content":"With dates."}],`+
			`"rejected":[{"role":"assistant","content":"Never."}]}`,
		`{"chosen":[{"role":"user","content":"Why?"},{"role":"assistant","content":"Custom."},{"role":"user","content":"Since when?"},`+
			`{"role":"assistant","content":"For long."}],"rejected":[{"role":"user","content":"Why?"},{"role":"assistant","content":"Custom."},`+
			`{"role":"user","content":"Since when?"},{"role":"assistant","content":"Who knows."}]}`,
		`{"prompt":"Is it sweet?","chosen":[{"role":"user","content":"Is it sweet?"},{"role":"assistant","content":"No."}],`+
			`"rejected":[{"role":"user","content":"Is it sweet?"},{"role":"assistant","content":"Yes, very."}]}`,
		`{"prompt":"Is it strong?","chosen":"Yes.","rejected":"No, it is weak."}`)
}

// variants are runs with the objectives and their options.
func variants(t *testing.T) map[string]func() (train.Options, train.Input) {
	sft := func(change func(o *train.Options)) func() (train.Options, train.Input) {
		return func() (train.Options, train.Input) {
			o := options()
			change(&o)
			return o, input(t, coffee(t), coffee(t))
		}
	}
	return map[string]func() (train.Options, train.Input){
		"neftune":  sft(func(o *train.Options) { o.NEFTune, o.Dropout = 5, 0.1 }),
		"legacy":   sft(func(o *train.Options) { o.LossNorm, o.MicroBatch, o.Batch = train.NormLegacy, 2, 4 }),
		"grouped":  sft(func(o *train.Options) { o.GroupByLength = true }),
		"last":     sft(func(o *train.Options) { o.LastTurn = true }),
		"patience": sft(func(o *train.Options) { o.Patience, o.EvalSteps = 2, 1 }),
		"text": func() (train.Options, train.Input) {
			o := options()
			o.Objective, o.MaxLength = train.ObjectiveText, 40
			return o, input(t, texts(t), texts(t))
		},
		"dpo": func() (train.Options, train.Input) {
			o := options()
			o.Objective, o.Dropout = train.ObjectiveDPO, 0.1
			return o, input(t, preferences(t), preferences(t))
		},
	}
}

// TestObjectivesResume: with every objective and option, a killed run and one that is
// interrupted everywhere end in the bytes of an undisturbed one.
func TestObjectivesResume(t *testing.T) {
	for name, variant := range variants(t) {
		t.Run(name, func(t *testing.T) {
			o, in := variant()
			dir := t.TempDir()
			at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
			step := 3
			if o.Objective == train.ObjectiveDPO {
				step += 20 // answers of the reference
			}
			killedAt(t, step, o, in, at, filepath.Join(dir, "killed"))
			want := outputs(t, at.Out)
			at.Out = filepath.Join(dir, "killed")
			rest := &watch{Reporter: progress.Silent, at: -1}
			at.Progress = rest
			if _, err := train.Run(context.Background(), o, in, at); err != nil {
				t.Fatal(err)
			}
			if rest.skipped == 0 {
				t.Error("the killed run began again")
			}
			testfiles.Same(t, "killed", outputs(t, at.Out), want)
			at = durable.Env{Out: filepath.Join(dir, "interrupted"), Seed: 3, Progress: progress.Silent}
			err := error(context.Canceled)
			parts := 0
			for ; err != nil && parts < 500; parts++ {
				_, err = train.Run(&limited{context.Background(), 15 + parts%50}, o, in, at)
			}
			if err != nil || parts < 2 {
				t.Fatalf("after %d interrupts: %v", parts, err)
			}
			testfiles.Same(t, "interrupted", outputs(t, at.Out), want)
		})
	}
}

// TestReference: what the model thought of the answers at the start is kept. A process that is
// killed while it is computed is followed by one that goes on; a record that is damaged is
// computed again before the first step, and an error after it.
func TestReference(t *testing.T) {
	o := options()
	o.Objective, o.MicroTokens = train.ObjectiveDPO, 1
	in := input(t, preferences(t), "")
	dir := t.TempDir()
	at := func(name string) durable.Env {
		return durable.Env{Out: filepath.Join(dir, name), Seed: 3, Progress: progress.Silent}
	}
	killedAt(t, 6, o, in, at("whole"), filepath.Join(dir, "begun"))
	killedAt(t, 14, o, in, at("second"), filepath.Join(dir, "stepped"))
	want := outputs(t, filepath.Join(dir, "whole"))
	for _, name := range []string{"begun", "stepped"} {
		path := filepath.Join(dir, name+".partial", "train.reference")
		data, err := os.ReadFile(path)
		if err != nil || name == "begun" && len(data) != 6*16 || name == "stepped" && len(data) != 10*16 {
			t.Fatalf("%s: %d bytes, %v", name, len(data), err)
		}
		data[40] ^= 1 // in the third record
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		env := at(name)
		rest := &watch{Reporter: progress.Silent, at: -1}
		env.Progress = rest
		if _, err = train.Run(context.Background(), o, in, env); name == "stepped" {
			badinputtest.Want(t, err, "train.reference holds 2 of 10 values")
			continue
		}
		if err != nil || rest.skipped != 2 {
			t.Errorf("%d answers skipped, want 2; %v", rest.skipped, err)
		}
		testfiles.Same(t, name, outputs(t, env.Out), want)
	}
}

// TestPatience ends a run whose validation loss has not fallen for so long.
func TestPatience(t *testing.T) {
	o := options()
	o.LR, o.EvalSteps, o.Patience, o.Epochs = 0.5, 1, 2, 9
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	_, err := train.Run(context.Background(), o, input(t, coffee(t), ""), at)
	badinputtest.Want(t, err, "patience is 2, but without a validation set")
	s, err := train.Run(context.Background(), o, input(t, coffee(t), dataset(t, turn("Is it sweet?", "No."))), at)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Stopped || s.Steps != s.BestStep+2 || s.Steps >= 36 {
		t.Errorf("%+v", s)
	}
}

// TestPassesDoNotMatter: the first steps of every objective have the same loss and gradient
// with one unit per pass and with all of them in one.
func TestPassesDoNotMatter(t *testing.T) {
	for name, variant := range variants(t) {
		t.Run(name, func(t *testing.T) {
			var first []train.Metrics
			for _, budget := range []int{1, 100000} {
				o, in := variant()
				o.MicroTokens, o.MaxSteps, o.Batch, o.Patience = budget, 3, 4, 0
				at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
				if _, err := train.Run(context.Background(), o, in, at); err != nil {
					t.Fatal(err)
				}
				for i, line := range strings.Split(strings.TrimSpace(outputs(t, at.Out)["metrics.jsonl"]), "\n") {
					var m train.Metrics
					if err := json.Unmarshal([]byte(line), &m); err != nil {
						t.Fatal(err)
					}
					if budget == 1 {
						first = append(first, m)
						continue
					}
					w := first[i]
					if math.Abs(m.Loss-w.Loss) > 1e-5*w.Loss || math.Abs(m.GradNorm-w.GradNorm) > 1e-4*w.GradNorm || m.Tokens != w.Tokens ||
						m.Trained != w.Trained || m.Trained == 0 {
						t.Errorf("step %d: %+v in one pass, %+v apart", i+1, m, w)
					}
				}
			}
		})
	}
}

// TestTexts: every token of a document is trained once, except the first, packs stay within
// max_length, and no document sees another.
func TestTexts(t *testing.T) {
	o := options()
	o.Objective, o.MaxLength = train.ObjectiveText, 40
	in := input(t, texts(t), "")
	e, err := train.Plan(context.Background(), o, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	total := 0
	o.MaxLength = 100000
	whole, err := train.Read(context.Background(), o, in, train.Limits{Vocab: 100000})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	total = int(whole.Trained)
	if int(e.Data.Trained) != total || e.Data.Tokens != e.Data.Trained || e.Data.Longest != 40 || e.Data.Duplicates != 1 {
		t.Errorf("%+v, want %d trained tokens", e.Data, total)
	}
	if least := (total + 39) / 40; e.Data.Samples() < least || e.Data.Samples() > least+2 {
		t.Errorf("%d packs of 40 for %d tokens", e.Data.Samples(), total)
	}
	if text := e.Text(); !strings.Contains(text, "packs of texts") {
		t.Error(text)
	}
	_, err = read(t, o, talk("a", "b"))
	badinputtest.Want(t, err, "none of its 1 rows can be trained on (empty: 1); rows need a text")
	_, err = read(t, o, `{"text":7}`)
	badinputtest.Want(t, err, "row 1: text is a float64, expected a text")
}

// TestPairs: the answers alone are trained, in every form of the rows; pairs that teach
// nothing are counted.
func TestPairs(t *testing.T) {
	o := options()
	o.Objective, o.MaxDropped = train.ObjectiveDPO, 1
	in := input(t, preferences(t), "")
	e, err := train.Plan(context.Background(), o, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rows, err := e.Preview(o, in.Tokenizer, 3, 5)
	if err != nil || len(rows) != 10 || e.Data.Samples() != 5 {
		t.Fatalf("%+v, %v", rows, err)
	}
	trained := map[string]bool{}
	for _, r := range rows {
		for _, p := range r.Parts {
			if p.Trained {
				trained[strings.TrimSuffix(p.Text, "<end_of_turn>")] = true
			}
		}
	}
	for _, want := range []string{"In small cups.", "In barrels of oil.", "With dates.", "Never.", "For long.", "Who knows.", "No.",
		"Yes, very.", "Yes.", "No, it is weak."} {
		if !trained[want] {
			t.Errorf("%q is not trained: %v", want, trained)
		}
	}
	if len(trained) != 10 {
		t.Errorf("trained: %v", trained)
	}
	_, err = read(t, o, `{"prompt":"a","chosen":"b","rejected":"b"}`, `{"prompt":"a","chosen":"b"}`,
		`{"prompt":"a","chosen":" ","rejected":"b"}`,
		`{"messages":[]}`)
	badinputtest.Want(t, err, "none of its 4 rows can be trained on (empty: 1, empty_answer: 1, no_trained_token: 1, same_answers: 1)")
	_, err = read(t, o, `{"prompt":"a","chosen":["b"],"rejected":"c"}`)
	badinputtest.Want(t, err, "row 1: chosen: element 0 has no role and content")
	_, err = read(t, o, `{"prompt":"a","chosen":3,"rejected":"c"}`)
	badinputtest.Want(t, err, "row 1: chosen is a float64, expected a text or a list of messages")
}
