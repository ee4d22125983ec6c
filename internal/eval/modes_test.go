package eval

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
)

// TestModesInResults: settings that differ from the reference of 2024-05 are in the result
// file; without any it has no such entry.
func TestModesInResults(t *testing.T) {
	for _, c := range []struct {
		list    string
		border  record.TokenBoundary
		choices tasks.ChoiceFormat
		want    map[string]string
	}{
		{"acva:Iraq", "", "", nil},
		{"acva:Iraq", record.Joint, tasks.Texts, nil},
		{"acva:Iraq", record.Pairwise, "", map[string]string{"token_border": "pairwise"}},
		{"piqa_ar", record.Guarded, tasks.Indices, map[string]string{"token_border": "guarded", "alghafa_choices": "index"}},
		{"aratrust:Ethics", "", "", map[string]string{"leaderboard": "oall-v2", "token_border": "guarded", "alghafa_choices": "index"}},
		{"aratrust:Ethics", record.Joint, tasks.Texts,
			map[string]string{"leaderboard": "oall-v2", "token_border": "joint", "alghafa_choices": "text"}},
	} {
		o := fixtureOptions(t, c.list)
		o.TokenBoundary, o.AlGhafa = c.border, c.choices
		out, err := Run(t.Context(), newHashModel(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out.ResultsPath)
		if err != nil {
			t.Fatal(err)
		}
		var results struct {
			General struct{ Config map[string]string } `json:"config_general"`
		}
		if err := json.Unmarshal(text, &results); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, results.General.Config); diff != "" {
			t.Errorf("%s, %s, %s:\n%s", c.list, c.border, c.choices, diff)
		}
	}
}

// TestModesApart: modes share only the store. A score is stored under the tokens of its
// request, so a run in another mode reuses the scores of equal requests and scores the
// others. It writes the same files as without the store.
func TestModesApart(t *testing.T) {
	list := "alghafa:meta_ar_msa,piqa_ar,acva:Iraq"
	m := newHashModel()
	m.tokenizer = evaltest.DemoTokenizer(t)
	shared := fixtureOptions(t, list)
	outputs := map[string]bool{}
	for _, border := range record.TokenBoundaries {
		for _, choices := range tasks.ChoiceFormats {
			alone := fixtureOptions(t, list)
			alone.TokenBoundary, alone.AlGhafa = border, choices
			shared.TokenBoundary, shared.AlGhafa = border, choices
			a, err := Run(t.Context(), m, alone, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Run(t.Context(), m, shared, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(a.ResultsPath)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(b.ResultsPath)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s, %s:\n%s", border, choices, diff)
			}
			if a.Reused != 0 || b.Reused == 0 && border != record.Joint {
				t.Errorf("%s, %s: %d reused alone, %d after other modes", border, choices, a.Reused, b.Reused)
			}
			outputs[string(got)] = true
		}
	}
	if len(outputs) != len(record.TokenBoundaries)*len(tasks.ChoiceFormats) {
		t.Errorf("%d different results of %d modes", len(outputs), len(record.TokenBoundaries)*len(tasks.ChoiceFormats))
	}
}

func TestModesRefused(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq")
	o.AlGhafa = "letters"
	if err := o.Validate(); !badinput.Is(err) {
		t.Errorf("choices %q: %v", o.AlGhafa, err)
	}
	o = fixtureOptions(t, "acva:Iraq")
	o.Tasks = slices.Concat(o.Tasks, fixtureOptions(t, "aratrust").Tasks)
	if err := o.Validate(); err == nil {
		t.Error("tasks of two versions: no error")
	}
}
