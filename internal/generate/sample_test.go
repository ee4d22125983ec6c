package generate

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"barka/internal/golden"
)

// samplingGolden is testdata/models/sampling/golden.json.
type samplingGolden struct {
	Logits [][]float32 `json:"logits"`
	Seen   []int32     `json:"seen"`
	Cases  []struct {
		Row               int       `json:"row"`
		Temperature       *float64  `json:"temperature"`
		TopK              int       `json:"top_k"`
		TopP              float64   `json:"top_p"`
		MinP              float64   `json:"min_p"`
		RepetitionPenalty float64   `json:"repetition_penalty"`
		Kept              []int32   `json:"kept"`
		Probabilities     []float64 `json:"probabilities"`
	} `json:"cases"`
}

func loadSampling(t *testing.T) *samplingGolden {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden.Dir("sampling"), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g samplingGolden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return &g
}

// kept lists the tokens that the filters keep and their probabilities.
func (s *sampler) kept(logits []float32, o *Sampling, seen []int32) (tokens []int32, p []float64) {
	s.penalise(logits, o, seen)
	defer func() { restore(logits, seen, s.raw) }()
	end := s.filter(logits, o, s.fill(logits, logits[argMax(logits)], o.temperature()))
	for b := 0; b <= end.bin && b < far; b++ {
		content := s.open(logits, o.temperature(), b)
		if b == end.bin {
			content = content[:end.n]
		}
		for _, x := range content {
			tokens, p = append(tokens, x.token), append(p, x.mass/end.kept)
		}
	}
	return tokens, p
}

// TestFilters compares the tokens that are kept, and their probabilities,
// with the processors of transformers.
func TestFilters(t *testing.T) {
	g := loadSampling(t)
	var s sampler
	for _, c := range g.Cases {
		o := Sampling{Temperature: 1, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty}
		if c.Temperature != nil {
			o.Temperature = *c.Temperature
		}
		name := fmt.Sprintf("row %d, %+v", c.Row, o)
		var seen []int32
		if o.penalised() {
			seen = distinct(g.Seen)
		}
		want := map[int32]float64{}
		likeliest := slices.Max(c.Probabilities)
		for i, token := range c.Kept {
			if c.Probabilities[i] > likeliest*math.Exp(-32) { // tokens below this are never drawn
				want[token] = c.Probabilities[i]
			}
		}
		logits := slices.Clone(g.Logits[c.Row])
		tokens, p := s.kept(logits, &o, seen)
		if !slices.Equal(logits, g.Logits[c.Row]) {
			t.Errorf("%s: the logits were changed", name)
		}
		if len(tokens) != len(want) {
			t.Errorf("%s: %d tokens kept, want %d", name, len(tokens), len(want))
		}
		for i, token := range tokens {
			w, ok := want[token]
			if !ok || math.Abs(p[i]-w) > 2e-6*w+1e-9 {
				t.Errorf("%s: token %d has probability %g, want %g", name, token, p[i], w)
			}
			if i > 0 && (p[i] > p[i-1] || p[i] == p[i-1] && token < tokens[i-1]) {
				t.Errorf("%s: token %d is out of order", name, token)
			}
		}
	}
}

// TestDraws: over evenly spaced random numbers, each token's share of the draws is its
// probability. Its log-probability is that of the model.
func TestDraws(t *testing.T) {
	g := loadSampling(t)
	var s sampler
	const n = 4000
	for i, c := range g.Cases {
		if i%5 != 0 {
			continue
		}
		o := Sampling{Temperature: 1, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty}
		if c.Temperature != nil {
			o.Temperature = *c.Temperature
		}
		var seen []int32
		if o.penalised() {
			seen = distinct(g.Seen)
		}
		logits := g.Logits[c.Row]
		sum := 0.0
		for _, x := range logits {
			sum += math.Exp(float64(x - logits[0]))
		}
		lse := float64(logits[0]) + math.Log(sum)
		share := map[int32]float64{}
		for j := range n {
			got := s.choose(logits, &o, seen, nil, (float64(j)+0.5)/n)
			share[got.token] += 1.0 / n
			if w := float64(logits[got.token]) - lse; math.Abs(float64(got.logp)-w) > 1e-5 {
				t.Fatalf("row %d, %+v: token %d has log-probability %g, want %g", c.Row, o, got.token, got.logp, w)
			}
		}
		for j, token := range c.Kept {
			if d := math.Abs(share[token] - c.Probabilities[j]); d > 1.01/n {
				t.Errorf("row %d, %+v: token %d has %g of the draws, probability %g", c.Row, o, token, share[token], c.Probabilities[j])
			}
			delete(share, token)
		}
		if len(share) > 0 {
			t.Errorf("row %d, %+v: tokens %v were drawn and are not kept", c.Row, o, share)
		}
	}
}

// vocabulary returns logits like those of a large model: many similar ones and a few
// outliers.
func vocabulary(n int) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 2)
	}
	for range 200 {
		logits[r.IntN(n)] = float32(8 + 3*r.NormFloat64())
	}
	return logits
}

// TestExtremeLogits: with distant and equal values, infinities and tiny temperatures, the
// chosen token is one that the filters keep.
func TestExtremeLogits(t *testing.T) {
	inf := float32(math.Inf(-1))
	var s sampler
	for _, logits := range [][]float32{{1}, {0, 0, 0, 0}, {inf, 3, inf}, {1e30, -1e30, 1e30}, {-1e-30, 1e-30, 0}, {inf, inf, -2e38}} {
		for _, o := range []Sampling{{Temperature: 1e-300}, {Temperature: 1}, {Temperature: 1e30},
			{Temperature: 1, TopK: 2, TopP: 0.5, MinP: 0.5}, {Temperature: 1, MinP: 1}, {Temperature: 1, TopP: 1e-300}} {
			for _, u := range []float64{0, 0.5, math.Nextafter(1, 0)} {
				got := s.choose(logits, &o, nil, nil, u)
				if logits[got.token] == inf || math.IsNaN(float64(got.logp)) {
					t.Errorf("%v, %+v, %g: %+v", logits, o, u, got)
				}
			}
		}
	}
}

// TestSamplingAllocatesNothing: sampling allocates nothing in the steady state.
func TestSamplingAllocatesNothing(t *testing.T) {
	logits := vocabulary(50_000)
	var s sampler
	r := rand.New(rand.NewPCG(1, 1))
	seen := []int32{1, 2, 3}
	for _, o := range []Sampling{{Temperature: 0.8, TopP: 0.95}, {Temperature: 1},
		{Temperature: 0.5, TopK: 50, MinP: 0.05, RepetitionPenalty: 1.1}, {RepetitionPenalty: 1.1}} {
		for range 200 {
			s.choose(logits, &o, seen, nil, r.Float64()) // the largest bin has been seen
		}
		if n := testing.AllocsPerRun(100, func() { s.choose(logits, &o, seen, nil, 0.5) }); n != 0 {
			t.Errorf("%+v: %g allocations per token", o, n)
		}
	}
}

func BenchmarkSampling(b *testing.B) {
	logits := vocabulary(256_000)
	for _, o := range []Sampling{{Temperature: 1}, {Temperature: 0.8, TopP: 0.95},
		{Temperature: 0.8, TopK: 50, TopP: 0.95}, {Temperature: 0.1, TopK: 50}} {
		b.Run(fmt.Sprintf("t%g_k%d_p%g", o.Temperature, o.TopK, o.TopP), func(b *testing.B) {
			var s sampler
			r := rand.New(rand.NewPCG(1, 1))
			for b.Loop() {
				s.choose(logits, &o, nil, nil, r.Float64())
			}
		})
	}
}
