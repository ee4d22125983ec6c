package score_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/score"
	"barka/internal/tensor/cpu"
)

// questions are requests with common prefixes of every kind: choices of one
// context, contexts that share a prefix, one that is a prefix of another, equal
// requests, and choices that are empty.
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

// TestSharedEqualsApart: prefixes that requests share are run once, and every
// log-probability and rank equals bit for bit that of the request run alone on one
// thread. This holds for every architecture and weight type, with an adapter,
// with truncated contexts, on any number of threads, whatever the batches and
// whatever is kept from one for the next.
func TestSharedEqualsApart(t *testing.T) {
	for _, name := range golden.Decoders {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
			t.Run(fmt.Sprintf("%s %s", name, dt), func(t *testing.T) { sharedEqualsApart(t, name, dt, "") })
		}
	}
	for _, name := range golden.Trained {
		t.Run(name+" with an adapter", func(t *testing.T) {
			sharedEqualsApart(t, name, dtype.BF16, filepath.Join(golden.Dir(name), "adapter"))
		})
	}
}

func open(t *testing.T, name string, dt dtype.DType, adapter string, threads int) model.Decoder {
	t.Helper()
	dev := cpu.New(threads)
	t.Cleanup(dev.Close)
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: dev, DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	if adapter != "" {
		if _, err := model.LoadAdapter(m, adapter); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func sharedEqualsApart(t *testing.T, name string, dt dtype.DType, adapter string) {
	reqs := questions(rand.New(rand.NewPCG(1, 2)))
	one, three := open(t, name, dt, adapter, 1), open(t, name, dt, adapter, 3)
	for _, longest := range []int{0, 18} {
		alone := score.Scorer{Model: one, Options: score.Options{MaxLength: longest, MaxBatchTokens: 1, NoPrefixSharing: true, Ranks: true}}
		want, err := alone.LogLikelihoods(context.Background(), reqs, nil)
		if err != nil {
			t.Fatal(err)
		}
		cut := 0
		for _, r := range want {
			cut += r.Truncated
		}
		if (cut > 0) != (longest > 0) {
			t.Errorf("%d tokens are cut with a bound of %d", cut, longest)
		}
		for _, c := range []struct {
			m            model.Decoder
			budget, keep int
			kept         bool // keeping saves tokens
		}{{one, 1, 1000, true}, {three, 30, 1000, true}, {three, 100, 1000, longest == 0}, {three, 30, 7, true},
			{three, 30, -1, false}, {three, 100000, 0, false}} {
			s := score.Scorer{Model: c.m,
				Options: score.Options{MaxLength: longest, MaxBatchTokens: c.budget, KeepTokens: c.keep, Ranks: true}}
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
					t.Fatalf("inputs to %d, batches of %d, %d kept, request %d: %v, alone %v", longest, c.budget, c.keep, i, got[i], want[i])
				}
			}
			with, without := work(t, s.Options, reqs), s.Options
			without.KeepTokens = -1
			if spared := work(t, without, reqs).Tokens - with.Tokens; spared < 0 || c.kept != (spared > 0) {
				t.Errorf("batches of %d, %d kept: %d tokens spared", c.budget, c.keep, spared)
			}
		}
	}
}

func work(t *testing.T, p score.Options, reqs []score.Request) score.Work {
	t.Helper()
	w, err := p.Work(reqs)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestFewShotExamplesRunOnce: examples and an instruction before every question are run
// once for all batches, and no question is run twice.
func TestFewShotExamplesRunOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	shots := make([]int32, 600)
	var reqs []score.Request
	for range 50 {
		prompt := slices.Clone(shots)
		for range 30 {
			prompt = append(prompt, int32(10+r.IntN(1<<30)))
		}
		for c := range int32(4) {
			reqs = append(reqs, score.Request{Context: prompt, Continuation: []int32{c, 5, 6}})
		}
	}
	rand.Shuffle(len(reqs), func(i, j int) { reqs[i], reqs[j] = reqs[j], reqs[i] })
	p := score.Options{MaxBatchTokens: 200, KeepTokens: 1000}
	w := work(t, p, reqs)
	// If a batch ends within a question, the question's last token is run again.
	if least := 600 + 50*(30+4*2); w.Tokens < least || w.Tokens > least+20 || w.LargestPass > 640 || w.Kept < 600 {
		t.Errorf("%+v, want about %d tokens", w, least)
	}
	p.NoPrefixSharing = true
	if w := work(t, p, reqs); w.Tokens != 200*(600+30+2) || w.Kept != 0 {
		t.Errorf("noSharing: %+v", w)
	}
}
