package sacrebleu

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// TestGoldens: the results of sacrebleu on made lines of many scripts, whole and line by line,
// written by reference/light/bleu_check.py.
func TestGoldens(t *testing.T) {
	var g struct {
		Hypotheses []string
		References [][]string
		Cases      []struct {
			References int
			Lowercase  bool
			Tokenize   Tokenizer
			Scores     []struct {
				Score
				Line string
			}
			Sentences []map[string]float64
		}
	}
	data, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Cases {
		t.Run(fmt.Sprintf("%s lower=%t references=%d", c.Tokenize, c.Lowercase, c.References), func(t *testing.T) {
			references := func(i int) (refs []string) {
				for _, r := range g.References[:c.References] {
					refs = append(refs, r[i])
				}
				return refs
			}
			for i, name := range []string{"bleu", "chrf", "chrf++"} {
				m, err := ByName(name, c.Tokenize, c.Lowercase)
				if err != nil {
					t.Fatal(err)
				}
				for i, h := range g.Hypotheses {
					m.Add(h, references(i))
				}
				got, want := m.Score(), c.Scores[i]
				if !near(got.Value, want.Value) || got.Name != want.Name || got.Signature != want.Signature || got.Detail != want.Detail {
					t.Errorf("the score is %+v, want %+v", got, want.Score)
				}
				if line := got.String(1); line != want.Line {
					t.Errorf("printed %q, want %q", line, want.Line)
				}
				for i, want := range c.Sentences {
					if one := m.Sentence(g.Hypotheses[i], references(i)); !near(one.Value, want[one.Name]) {
						t.Errorf("%s of line %d is %v, want %v", one.Name, i, one.Value, want[one.Name])
					}
				}
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

// TestEmpty: nothing to score is 0, not NaN.
func TestEmpty(t *testing.T) {
	for _, name := range []string{"bleu", "chrf", "chrf++"} {
		m, err := ByName(name, MT13a, false)
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Score(); s.Value != 0 {
			t.Errorf("%s of no line is %v", name, s.Value)
		}
		m.Add("", []string{"a"})
		if s := m.Score(); s.Value != 0 {
			t.Errorf("%s of an empty line is %v", name, s.Value)
		}
	}
	if _, err := ByName("ter", MT13a, false); err == nil {
		t.Error("an unknown metric is accepted")
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, name := range []string{"bleu", "chrf", "chrf++"} {
		b.Run(name, func(b *testing.B) {
			m, _ := ByName(name, MT13a, false)
			const line = "وتابع أن المرضى الذين لا تظهر عليهم أعراض المرض ينقلون العدوى إلى غيرهم بنسبة ٢٠٪ تقريبًا."
			for b.Loop() {
				m.Add(line, []string{line})
			}
		})
	}
}
