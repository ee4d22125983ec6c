package fineweb

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

type golden struct {
	Text        string
	Words       []string
	Lines       float64 `json:"duplicate_lines"`
	Top         [3]float64
	Duplicate   [6]float64
	Punctuation float64 `json:"line_punctuation"`
	NewLines    float64 `json:"new_lines"`
	Length      float64 `json:"word_length"`
	Alpha       float64 `json:"alpha_words"`
	Stops       int     `json:"stop_words"`
}

func read(t *testing.T, path string) (rows []golden) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &rows); err != nil || len(rows) < 10 {
		t.Fatal(len(rows), err)
	}
	return rows
}

// compare reports the statistics that differ from datatrove's.
func compare(t *testing.T, g golden) bool {
	t.Helper()
	x := New(g.Text)
	ok := slices.Equal(x.words, g.Words)
	if !ok {
		t.Errorf("words of %.80q:\n%q\n%q", g.Text, x.words, g.Words)
	}
	same := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s of %.60q: %v, datatrove %v", name, g.Text, got, want)
			ok = false
		}
	}
	same("duplicate lines", x.DuplicateLines(), g.Lines)
	for i, want := range g.Top {
		same("top n-gram", x.TopNGram(i+2), want)
	}
	for i, want := range g.Duplicate {
		same("duplicate n-grams", x.DuplicateNGrams(i+5), want)
	}
	same("line punctuation", x.LinePunctuation(), g.Punctuation)
	same("new lines", x.NewLines(), g.NewLines)
	same("word length", x.WordLength(), g.Length)
	same("alpha words", x.AlphaWords(), g.Alpha)
	same("stop words", float64(x.StopWords()), float64(g.Stops))
	return ok
}

// TestGolden compares with what reference/data/fineweb.py computes with datatrove.
func TestGolden(t *testing.T) {
	for _, g := range read(t, "testdata/golden.json") {
		compare(t, g)
	}
}

// TestEmpty: no statistic of nothing is NaN.
func TestEmpty(t *testing.T) {
	for _, s := range []string{"", " ", "\n"} {
		x := New(s)
		for _, v := range []float64{x.DuplicateLines(), x.TopNGram(2), x.DuplicateNGrams(5), x.LinePunctuation(), x.NewLines(), x.WordLength(),
			x.AlphaWords()} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%q: %v", s, v)
			}
		}
	}
}
