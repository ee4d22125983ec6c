package generate_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"barka/internal/generate"
	"barka/internal/golden"
)

// searchSettings are those of a case of m2m100-decoding or m2m100-ctranslate2.
type searchSettings struct {
	Beams             int      `json:"num_beams"`
	CTranslate2Beams  int      `json:"beams"`
	RepetitionPenalty float64  `json:"repetition_penalty"`
	MinLength         int      `json:"min_length"`
	MaxLength         int      `json:"max_length"`
	MaxLengthRatio    float64  `json:"max_length_ratio"`
	NoRepeatNGram     int      `json:"no_repeat_ngram_size"`
	LengthPenalty     *float64 `json:"length_penalty"`
	EarlyStopping     any      `json:"early_stopping"`
	Patience          float64  `json:"patience"`
	NumReturn         int      `json:"num_return"`
	Codes             []int32  `json:"codes"` // forced token of each source
	Temperature       *float64 `json:"temperature"`
	TopK              int      `json:"top_k"`
	TopP              float64  `json:"top_p"`
	MinP              float64  `json:"min_p"`
}

// searches is a golden file of searches.
type searches struct {
	Sources [][]int32 `json:"sources"`
	Code    int32     `json:"code"`
	Cases   []struct {
		Settings searchSettings        `json:"settings"`
		Outputs  [][]golden.Hypothesis `json:"outputs"`
	} `json:"cases"`
	Drawn []int32 `json:"drawn"` // source of the draws
	Draws []struct {
		Settings      searchSettings `json:"settings"`
		Kept          []int32        `json:"kept"`
		Probabilities []float64      `json:"probabilities"`
		LogProbs      []float64      `json:"logprobs"`
	} `json:"draws"`
}

func loadSearches(t *testing.T, name string) searches {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden.Dir(name), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s searches
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Cases) == 0 {
		t.Fatalf("%s has no cases", name)
	}
	return s
}

func (s searchSettings) options(t *testing.T) generate.BeamOptions {
	t.Helper()
	o := generate.BeamOptions{Beams: max(s.Beams, s.CTranslate2Beams), MaxLength: 24, MaxLengthRatio: s.MaxLengthRatio, MinLength: s.MinLength,
		LengthPenalty: 1, NoRepeatNGram: s.NoRepeatNGram, Patience: s.Patience, NumReturn: s.Beams, MaxActive: 3,
		Start: 2, EOS: []int32{2}, Sampling: generate.Sampling{RepetitionPenalty: s.RepetitionPenalty}}
	if s.MaxLength > 0 {
		o.MaxLength = s.MaxLength
	}
	if s.LengthPenalty != nil {
		o.LengthPenalty = *s.LengthPenalty
	}
	if s.NumReturn > 0 {
		o.NumReturn = s.NumReturn
	}
	if s.Patience > 0 {
		o.EarlyStopping = generate.StopCTranslate2
	} else if s.EarlyStopping != nil {
		if err := o.EarlyStopping.UnmarshalText([]byte(fmt.Sprint(s.EarlyStopping))); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// TestSearchSettings compares every hypothesis and its score with transformers and with
// CTranslate2, all sources decoded together.
func TestSearchSettings(t *testing.T) {
	m := translator(t, 2)
	for _, name := range []string{"m2m100-decoding", "m2m100-ctranslate2"} {
		want := loadSearches(t, name)
		for i, c := range want.Cases {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				sources := generate.SourcesOf(want.Sources, want.Code)
				for i, code := range c.Settings.Codes {
					sources[i].ForcedBOS = code
				}
				got, err := generate.BeamSearch(t.Context(), m, sources, c.Settings.options(t), nil)
				if err != nil {
					t.Fatal(err)
				}
				for i, outputs := range c.Outputs {
					sameHypotheses(t, i, got[i], outputs)
				}
			})
		}
	}
}

func sameHypotheses(t *testing.T, source int, got []generate.Hypothesis, want []golden.Hypothesis) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("source %d: %d hypotheses, want %d", source, len(got), len(want))
		return
	}
	for j, w := range want {
		if !slices.Equal(got[j].Tokens, w.Tokens) {
			t.Errorf("source %d, hypothesis %d: %v, want %v", source, j, got[j].Tokens, w.Tokens)
		} else if w.Score != nil && math.Abs(float64(got[j].Score)-*w.Score) > 2e-5*max(1, math.Abs(*w.Score)) {
			t.Errorf("source %d, hypothesis %d: score %g, want %g", source, j, got[j].Score, *w.Score)
		}
	}
}

// TestDrawnOutputs compares the first tokens of many drawn outputs with the distribution
// that transformers' processors leave, and their scores with the model's log-probabilities.
func TestDrawnOutputs(t *testing.T) {
	want := loadSearches(t, "m2m100-decoding")
	m := translator(t, 2)
	const n = 3000
	for i, c := range want.Draws {
		o := c.Settings.options(t)
		o.Beams, o.MaxLength, o.NumReturn = 1, 3, n
		o.Sampling = generate.Sampling{Temperature: 1, TopK: c.Settings.TopK, TopP: c.Settings.TopP, MinP: c.Settings.MinP,
			RepetitionPenalty: c.Settings.RepetitionPenalty, Seed: 5}
		if c.Settings.Temperature != nil {
			o.Sampling.Temperature = *c.Settings.Temperature
		}
		got, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf([][]int32{want.Drawn}, want.Code), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		drawn := map[int32]int{}
		for _, h := range got[0] {
			token := h.Tokens[2]
			drawn[token]++
			at := slices.Index(c.Kept, token)
			if at < 0 {
				t.Errorf("case %d: token %d was drawn, which the processors exclude", i, token)
			} else if d := math.Abs(float64(h.Score)*2 - c.LogProbs[at]); d > 1e-4 { // the score is a mean of 2
				t.Errorf("case %d: the score of token %d is off by %g", i, token, d)
			}
		}
		if len(got[0]) != n {
			t.Fatalf("case %d: %d outputs, want %d", i, len(got[0]), n)
		}
		// Pearson's statistic over the tokens that are expected at least five times.
		statistic, cells := 0.0, 0
		for j, token := range c.Kept {
			if expected := c.Probabilities[j] * n; expected >= 5 {
				statistic += math.Pow(float64(drawn[token])-expected, 2) / expected
				cells++
			}
		}
		if bound := float64(cells) + 4*math.Sqrt(2*float64(cells)) + 4; statistic > bound {
			t.Errorf("case %d: chi-square %.1f over %d tokens, expected less than %.1f", i, statistic, cells, bound)
		}
	}
}

// TestDrawsAreTheSourcesOwn: drawn outputs depend on the source and the seed alone.
func TestDrawsAreTheSourcesOwn(t *testing.T) {
	want := loadSearches(t, "m2m100-decoding")
	m := translator(t, 2)
	o := generate.BeamOptions{Beams: 1, MaxLength: 20, LengthPenalty: 1, Start: 2, EOS: []int32{2}, NumReturn: 3, MaxActive: 2,
		Sampling: generate.Sampling{Temperature: 1, Seed: 3}}
	run := func(o generate.BeamOptions, sources ...[]int32) [][]generate.Hypothesis {
		t.Helper()
		got, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf(sources, want.Code), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	together := run(o, want.Sources...)
	for i, s := range want.Sources {
		alone := run(o, s)[0]
		for j := range alone {
			if !slices.Equal(alone[j].Tokens, together[i][j].Tokens) || alone[j].Score != together[i][j].Score {
				t.Errorf("source %d, output %d: %v alone, %v together", i, j, alone[j], together[i][j])
			}
			if j > 0 && alone[j].Score > alone[j-1].Score {
				t.Errorf("source %d: output %d is better than the one before", i, j)
			}
		}
	}
	o.Sampling.Seed = 4
	if slices.Equal(run(o, want.Sources[4])[0][0].Tokens, together[4][0].Tokens) {
		t.Error("two seeds gave the same output")
	}
}

// TestSearchRefuses: settings that contradict each other.
func TestSearchRefuses(t *testing.T) {
	m := translator(t, 1)
	good := generate.BeamOptions{Beams: 4, MaxLength: 10, Start: 2, EOS: []int32{2}}
	for name, change := range map[string]func(o *generate.BeamOptions){
		"sampling with beams": func(o *generate.BeamOptions) { o.Sampling.Temperature = 1 },
		"more than the beams": func(o *generate.BeamOptions) { o.NumReturn = 5 },
		"more than it finishes": func(o *generate.BeamOptions) {
			o.EarlyStopping, o.Patience, o.NumReturn = generate.StopCTranslate2, 0.5, 3
		},
		"rewarded repetition": func(o *generate.BeamOptions) { o.Sampling.RepetitionPenalty = 0.5 },
		"no such temperature": func(o *generate.BeamOptions) { o.Beams, o.Sampling.Temperature = 1, math.Inf(1) },
	} {
		o := good
		change(&o)
		if _, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf([][]int32{{4, 2}}, 295), o, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf([][]int32{{4, 2}}, 295), good, nil); err != nil {
		t.Error(err)
	}
}
