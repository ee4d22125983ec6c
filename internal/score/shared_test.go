package score_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/score"
)

// questions are requests with common beginnings of every kind: choices of one
// context, contexts that begin alike, one that is the beginning of another,
// equal requests, and choices that are empty.
func questions(r *rand.Rand) []score.Request {
	draw := func(n int) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = int32(3 + r.IntN(40))
		}
		return out
	}
	instruction := draw(9)
	var reqs []score.Request
	for range 6 {
		shots := slices.Concat(instruction, draw(r.IntN(12)))
		for range 1 + r.IntN(3) {
			prompt := slices.Concat(shots, draw(r.IntN(10)))
			for range 1 + r.IntN(4) {
				reqs = append(reqs, score.Request{Context: prompt, Continuation: draw(r.IntN(5))})
			}
		}
	}
	return append(reqs, reqs[0], reqs[len(reqs)/2])
}

// TestSharedEqualsApart: what requests have in common is run once, and every
// log-probability has the bits of the request run alone, whatever the batch.
func TestSharedEqualsApart(t *testing.T) {
	for _, name := range []string{"gemma2", "gptneox", "llama", "qwen2"} {
		t.Run(name, func(t *testing.T) {
			s := scorer(t, name)
			reqs := questions(rand.New(rand.NewPCG(1, 2)))
			s.Apart, s.BatchTokens = true, 1
			want, err := s.LogLikelihoods(context.Background(), reqs, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.Apart = false
			for _, budget := range []int{1, 30, 100, 100000} {
				s.BatchTokens = budget
				answered := 0
				got, err := s.LogLikelihoods(context.Background(), reqs, func(n int) { answered += n })
				if err != nil {
					t.Fatal(err)
				}
				if answered != len(reqs) {
					t.Errorf("%d requests reported done of %d", answered, len(reqs))
				}
				for i := range reqs {
					if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) || !slices.Equal(got[i].Tokens, want[i].Tokens) {
						t.Fatalf("batches of %d tokens, request %d: %v, alone %v", budget, i, got[i], want[i])
					}
				}
			}
		})
	}
}
