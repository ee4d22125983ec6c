package score_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/score"
	"barka/internal/testdevice"
)

func scorer(t *testing.T, name string) *score.Scorer {
	t.Helper()
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: testdevice.New(t, 2), DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	return &score.Scorer{Model: m, Options: score.Options{MaxBatchTokens: 40}}
}

func TestLogLikelihoods(t *testing.T) {
	for _, name := range golden.Decoders {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			var reqs []score.Request
			for _, w := range want.LogLikelihoods {
				reqs = append(reqs, score.Request{Context: w.Context, Continuation: w.Continuation})
			}
			answered := 0
			got, err := scorer(t, name).LogLikelihoods(context.Background(), reqs, func(n int) { answered += n })
			if err != nil {
				t.Fatal(err)
			}
			if answered != len(reqs) {
				t.Errorf("%d requests reported done of %d", answered, len(reqs))
			}
			for i, w := range want.LogLikelihoods {
				sum := 0.0
				for j, p := range w.LogProbs {
					sum += p
					if math.Abs(float64(got[i].Tokens[j])-p) > 1e-4 {
						t.Errorf("request %d, token %d: %g, want %g", i, j, got[i].Tokens[j], p)
					}
				}
				if math.Abs(got[i].LogProb-sum) > 1e-3 || got[i].Greedy != w.Greedy {
					t.Errorf("request %d: %g %v, want %g %v", i, got[i].LogProb, got[i].Greedy, sum, w.Greedy)
				}
			}
		})
	}
}

// TestRanks: ranks are those of the logits that transformers recorded. If rounding can
// decide between close logits, any of the possible ranks is right.
func TestRanks(t *testing.T) {
	for _, name := range golden.Decoders {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			recorded := golden.Load(t, name, &want)
			s := scorer(t, name)
			s.Ranks = true
			vocab := s.Model.Info().Vocab
			exact, tokens, first := 0, 0, 0
			for i, seq := range want.Sequences {
				if len(seq) < 2 {
					continue
				}
				got, err := s.LogLikelihoods(context.Background(), []score.Request{{Context: seq[:1], Continuation: seq[1:]}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				logits := recorded.Tensor(fmt.Sprintf("logits.%d", i)) // [T,V]
				for j, token := range seq[1:] {
					least, most := rankRange(logits[j*vocab:(j+1)*vocab], token)
					if r := got[0].Ranks[j]; r < least || r > most {
						t.Errorf("sequence %d, token %d: rank %d, want %d to %d", i, j+1, r, least, most)
					}
					tokens++
					if least == most {
						exact++
					}
					if got[0].Ranks[j] == 1 {
						first++
					}
				}
			}
			if exact*100 < tokens*90 || exact < 20 {
				t.Errorf("only %d of %d ranks are not open", exact, tokens)
			}
			var greedy score.Request
			for _, g := range want.LogLikelihoods {
				if g.Greedy {
					greedy = score.Request{Context: g.Context, Continuation: g.Continuation}
				}
			}
			got, err := s.LogLikelihoods(context.Background(), []score.Request{greedy}, nil)
			if err != nil || len(got[0].Ranks) == 0 || slices.Max(got[0].Ranks) != 1 {
				t.Errorf("ranks of greedy tokens: %+v, %v", got, err)
			}
			t.Logf("%d of %d tokens have one possible rank, %d are first", exact, tokens, first)
		})
	}
}

// rankRange returns the least and the largest rank of a token that differences of 1e-4
// between logits allow.
func rankRange(logits []float32, token int32) (least, most int32) {
	least, most = 1, 1
	for k, v := range logits {
		switch d := v - logits[token]; {
		case int32(k) == token:
		case d > 1e-4:
			least++
			most++
		case d > -1e-4:
			most++
		}
	}
	return least, most
}

// TestTruncation: the context is cut on the left, the continuation never.
func TestTruncation(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gptneox", &want)
	s := scorer(t, "gptneox")
	seq := want.Sequences[4]
	s.MaxLength = 10
	got, err := s.LogLikelihoods(context.Background(), []score.Request{
		{Context: seq[:20], Continuation: seq[20:]},
		{Context: seq[13:20], Continuation: seq[20:]},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Truncated != 13 || got[0].LogProb != got[1].LogProb {
		t.Errorf("%d tokens cut, log-probability %g; expected 13 and %g", got[0].Truncated, got[0].LogProb, got[1].LogProb)
	}
	s.NoTruncation = true
	_, err = s.LogLikelihoods(context.Background(),
		[]score.Request{{Context: seq[:2], Continuation: seq[2:4]}, {Context: seq[:20], Continuation: seq[20:]}}, nil)
	if err == nil || !strings.Contains(err.Error(), "request 1") || !strings.Contains(err.Error(), "23 tokens") ||
		!strings.Contains(err.Error(), "at most 10") {
		t.Errorf("error %v", err)
	}
	if _, err := s.LogLikelihoods(context.Background(), []score.Request{{Context: seq[:7], Continuation: seq[7:11]}}, nil); err != nil {
		t.Error(err)
	}
	s.NoTruncation = false
	if _, err := s.LogLikelihoods(context.Background(), []score.Request{{Continuation: seq}}, nil); err == nil {
		t.Error("an empty context was accepted")
	}
	if got, err := s.LogLikelihoods(context.Background(), []score.Request{{Context: seq}}, nil); err != nil ||
		got[0].LogProb != 0 || !got[0].Greedy {
		t.Errorf("empty continuation: %+v, %v", got, err)
	}
}
