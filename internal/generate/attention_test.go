package generate_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"barka/internal/generate"
	"barka/internal/golden"
)

// TestAttention compares the attention of given outputs with transformers, and that of the
// search's hypotheses with that of the same outputs given. It changes no hypothesis.
func TestAttention(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	m := translator(t, 2)
	if len(want.Attention) != len(want.Sources) {
		t.Fatal("the golden has no attention")
	}
	close := func(a []float32, b []float64) bool {
		return slices.EqualFunc(a, b, func(x float32, y float64) bool { return math.Abs(float64(x)-y) < 1e-5 })
	}
	for i, source := range want.Sources {
		// The token that ends an output is not run.
		got, err := generate.Attention(m, source, append(slices.Clone(want.Targets[i]), 2), 2)
		if err != nil || !close(got, want.Attention[i]) {
			t.Errorf("source %d: %v, want %v (%v)", i, got, want.Attention[i], err)
		}
	}
	o := generate.BeamOptions{Beams: 5, MaxLength: 24, LengthPenalty: 1, Start: 2, EOS: []int32{2}, NumReturn: 5}
	plain, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources, want.Code), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, active := range []int{1, 16} {
		o.Attention, o.MaxActive = true, active
		results, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources, want.Code), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, hypotheses := range results {
			for j, h := range hypotheses {
				if !slices.Equal(h.Tokens, plain[i][j].Tokens) || h.Score != plain[i][j].Score || plain[i][j].Attention != nil {
					t.Errorf("source %d, hypothesis %d: %v, without attention %v", i, j, h, plain[i][j])
				}
				given, err := generate.Attention(m, want.Sources[i], h.Tokens, 2)
				if err != nil || !slices.EqualFunc(h.Attention, given, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 }) {
					t.Errorf("source %d, hypothesis %d: attention %v, given %v (%v)", i, j, h.Attention, given, err)
				}
				sum := 0.0
				for _, a := range h.Attention {
					sum += float64(a)
				}
				if steps := float64(len(h.Tokens) - 2); math.Abs(sum-steps) > 1e-4 {
					t.Errorf("source %d, hypothesis %d: attention adds up to %g in %g steps", i, j, sum, steps)
				}
			}
		}
	}
	if _, err := generate.Attention(m, nil, []int32{2, 5}, 1); err == nil {
		t.Error("no source: no error")
	}
}
