package model_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/golden"
)

// TestGreedyText compares every decoder's greedy text, computed through its cache, with
// transformers.
func TestGreedyText(t *testing.T) {
	for _, name := range golden.Decoders {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			var reqs []generate.Request
			for _, w := range want.Greedy {
				reqs = append(reqs, generate.Request{Prompt: w.Prompt, MaxNewTokens: len(w.Tokens)})
			}
			got, err := (&generate.Generator{Model: open(t, name, 2, dtype.F32)}).Run(context.Background(), reqs, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want.Greedy {
				if !slices.Equal(got[i].Tokens, w.Tokens) {
					t.Errorf("prompt %d: tokens %v, want %v", i, got[i].Tokens, w.Tokens)
				}
				for j, p := range w.LogProbs {
					if d := math.Abs(float64(got[i].LogProbs[j]) - p); d > 1e-4 {
						t.Errorf("prompt %d: log-probability %d is off by %g", i, j, d)
					}
				}
			}
		})
	}
}
