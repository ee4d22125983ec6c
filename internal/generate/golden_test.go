package generate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/testdevice"
)

func decoder(t testing.TB, name string) model.Decoder {
	t.Helper()
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: testdevice.New(t, 2), DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func translator(t testing.TB, threads int) model.Seq2Seq {
	t.Helper()
	return translatorAs(t, threads, dtype.F32)
}

func translatorAs(t testing.TB, threads int, dt dtype.DType) model.Seq2Seq {
	t.Helper()
	m, err := model.OpenSeq2Seq(golden.Dir("m2m100"), model.Options{Device: testdevice.New(t, threads), DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGreedy compares ids and log-probabilities with transformers.
func TestGreedy(t *testing.T) {
	for _, name := range decoders(t) {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			g := &generate.Generator{Model: decoder(t, name), MaxBatchTokens: 7}
			var reqs []generate.Request
			for _, w := range want.Greedy {
				reqs = append(reqs, generate.Request{Prompt: w.Prompt, MaxNewTokens: 20})
			}
			results, err := g.Run(context.Background(), reqs, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want.Greedy {
				if !slices.Equal(results[i].Tokens, w.Tokens) {
					t.Fatalf("prompt %d: tokens %v, want %v", i, results[i].Tokens, w.Tokens)
				}
				for j, p := range w.LogProbs {
					if d := math.Abs(float64(results[i].LogProbs[j]) - p); d > 1e-4 {
						t.Errorf("prompt %d: log-probability %d is off by %g", i, j, d)
					}
				}
				if results[i].Finish != generate.FinishLength {
					t.Errorf("prompt %d finished with %q", i, results[i].Finish)
				}
			}
		})
	}
}

// TestSamplingIsTheRequestsOwn: a seeded sample does not depend on the rest of the batch,
// and another seed gives another sample.
func TestSamplingIsTheRequestsOwn(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	m := decoder(t, "gemma2")
	req := func(i int, seed int64) generate.Request {
		return generate.Request{Prompt: want.Sequences[i], MaxNewTokens: 12,
			Sampling: generate.Sampling{Temperature: 0.8, TopP: 0.95, TopK: 50, RepetitionPenalty: 1.1, Seed: seed}}
	}
	all := []generate.Request{req(1, 7), req(2, 8), req(3, 9), req(4, 7), req(1, 8)}
	g := &generate.Generator{Model: m, MaxSequences: 3, MaxBatchTokens: 5}
	together, err := g.Run(context.Background(), all, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		alone, err := (&generate.Generator{Model: m}).Run(context.Background(), all[i:i+1], nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(alone[0].Tokens, together[i].Tokens) {
			t.Errorf("request %d: %v alone, %v together", i, alone[0].Tokens, together[i].Tokens)
		}
	}
	if slices.Equal(together[0].Tokens, together[4].Tokens) {
		t.Error("two seeds gave the same sample")
	}
}

// TestStop: a stop token ends the answer and is not part of it.
func TestStop(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	w := want.Greedy[0]
	stop := w.Tokens[4]
	cut := slices.Index(w.Tokens, stop)
	results, err := (&generate.Generator{Model: decoder(t, "gemma2")}).Run(context.Background(),
		[]generate.Request{{Prompt: w.Prompt, MaxNewTokens: 20, Stop: []int32{stop}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(results[0].Tokens, w.Tokens[:cut]) || results[0].Finish != generate.FinishStop {
		t.Errorf("got %v (%s), want %v (stop)", results[0].Tokens, results[0].Finish, w.Tokens[:cut])
	}
}

func TestRefusesEmptyAndTooLong(t *testing.T) {
	g := &generate.Generator{Model: decoder(t, "gemma2")}
	for _, r := range []generate.Request{{MaxNewTokens: 1}, {Prompt: make([]int32, 300), MaxNewTokens: 1}, {Prompt: []int32{2}}} {
		if _, err := g.Run(context.Background(), []generate.Request{r}, nil); err == nil {
			t.Errorf("prompt of %d tokens, %d to come: accepted", len(r.Prompt), r.MaxNewTokens)
		}
	}
}

// TestSeq2SeqLogits compares encoder states and teacher-forced logits, all
// pairs in one ragged batch, with each pair run alone by transformers.
func TestSeq2SeqLogits(t *testing.T) {
	for dt, tolerance := range map[dtype.DType]float64{dtype.F32: 2e-5, dtype.BF16: 0.05} {
		t.Run(string(dt), func(t *testing.T) { seq2SeqLogits(t, translatorAs(t, 2, dt), tolerance) })
	}
}

func seq2SeqLogits(t *testing.T, m model.Seq2Seq, tolerance float64) {
	var want golden.Beams
	g := golden.Load(t, "m2m100", &want)
	dev := m.Device()
	pass := func(seqs [][]int32) (*nn.Pass, []int32) {
		var tokens []int32
		var lengths []int
		for _, s := range seqs {
			tokens, lengths = append(tokens, s...), append(lengths, len(s))
		}
		l := tensor.Packed(lengths...)
		return &nn.Pass{Dev: dev, Layout: &l, Positions: l.Positions()}, tokens
	}
	p, tokens := pass(want.Sources)
	states, err := m.Encode(p, tokens)
	if err != nil {
		t.Fatal(err)
	}
	source := m.NewCache()
	rows := source.Reserve(len(tokens))
	if err := m.ProjectSource(p, states, source, rows); err != nil {
		t.Fatal(err)
	}
	q, targets := pass(want.Targets)
	cross := tensor.Layout{Starts: q.Layout.Starts, Past: make([]int32, len(want.Targets))}
	for i := range want.Sources {
		at := p.Layout.Starts[i : i+2]
		golden.Near(t, fmt.Sprintf("encoder %d", i), testdevice.Values(dev, states.Slice(int(at[0]), int(at[1]))),
			g.Tensor(fmt.Sprintf("encoder.%d", i)), tolerance)
		cross.Keys = append(cross.Keys, rows[at[0]:at[1]])
	}
	h, err := m.Decode(q, targets, nil, source, &cross)
	if err != nil {
		t.Fatal(err)
	}
	head, _ := m.Head()
	y := dev.Alloc(h.Rows, m.Info().Vocab)
	dev.MatMul(y, h, head, tensor.Tensor{}, false)
	for i := range want.Targets {
		at := q.Layout.Starts[i : i+2]
		golden.Near(t, fmt.Sprintf("logits %d", i), testdevice.Values(dev, y.Slice(int(at[0]), int(at[1]))),
			g.Tensor(fmt.Sprintf("logits.%d", i)), tolerance)
	}
}

// TestBeamSearch compares ids and scores of every returned hypothesis with
// transformers, all sources decoded together.
func TestBeamSearch(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	m := translator(t, 2)
	for i, c := range want.Cases {
		if testdevice.OnGPU() && i%4 != 0 {
			continue // the emulated GPU is slow
		}
		t.Run(fmt.Sprintf("beams%d_length%d_penalty%g_early%v_ngram%d", c.Beams, c.MaxLength, c.LengthPenalty,
			c.EarlyStopping, c.NoRepeatNGram), func(t *testing.T) {
			var early generate.EarlyStopping
			if err := early.UnmarshalText([]byte(fmt.Sprint(c.EarlyStopping))); err != nil {
				t.Fatal(err)
			}
			o := generate.BeamOptions{
				Beams: c.Beams, MaxLength: c.MaxLength, LengthPenalty: c.LengthPenalty, EarlyStopping: early,
				NoRepeatNGram: c.NoRepeatNGram, Start: 2, EOS: []int32{2}, NumReturn: c.Beams, MaxActive: 3,
				EncodeBatchTokens: 20,
			}
			got, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources, want.Code), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, outputs := range c.Outputs {
				if len(got[i]) != len(outputs) {
					t.Errorf("source %d: %d hypotheses, want %d", i, len(got[i]), len(outputs))
					continue
				}
				for j, w := range outputs {
					if !slices.Equal(got[i][j].Tokens, w.Tokens) {
						t.Errorf("source %d, hypothesis %d: %v, want %v", i, j, got[i][j].Tokens, w.Tokens)
					} else if w.Score != nil && math.Abs(float64(got[i][j].Score)-*w.Score) > 2e-5*max(1, math.Abs(*w.Score)) {
						t.Errorf("source %d, hypothesis %d: score %g, want %g", i, j, got[i][j].Score, *w.Score)
					}
				}
			}
		})
	}
	t.Run("unforced", func(t *testing.T) {
		o := generate.BeamOptions{Beams: 5, MaxLength: 20, LengthPenalty: 1, Start: 2, EOS: []int32{2}}
		got, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources[2:3], -1), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[0][0].Tokens, want.Unforced.Tokens) {
			t.Errorf("%v, want %v", got[0][0].Tokens, want.Unforced.Tokens)
		}
	})
	t.Run("several ends", func(t *testing.T) {
		o := generate.BeamOptions{Beams: 4, MaxLength: 24, LengthPenalty: 1, Start: 2, EOS: want.Ends.EOS,
			NumReturn: 4}
		got, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources, want.Code), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, outputs := range want.Ends.Outputs {
			for j, w := range outputs {
				if !slices.Equal(got[i][j].Tokens, w.Tokens) || math.Abs(float64(got[i][j].Score)-*w.Score) > 2e-5 {
					t.Errorf("source %d, hypothesis %d: %v (%g), want %v (%g)", i, j, got[i][j].Tokens, got[i][j].Score, w.Tokens, *w.Score)
				}
			}
		}
	})
}

// TestBeamSearchOfTorchFiles: every hypothesis and score is the same with weights as in
// NLLB's repositories, whose shards each repeat the embedding.
func TestBeamSearchOfTorchFiles(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	m, err := model.OpenSeq2Seq(golden.TorchDir("m2m100"),
		model.Options{Device: dev, DType: dtype.F32, Log: func(note string) { t.Error(note) }})
	if err != nil {
		t.Fatal(err)
	}
	o := generate.BeamOptions{Beams: 5, MaxLength: 30, LengthPenalty: 1, Start: 2, EOS: []int32{2}, NumReturn: 5}
	run := func(m model.Seq2Seq) [][]generate.Hypothesis {
		out, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources, want.Code), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got, want := run(m), run(translator(t, 2)); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestBeamSearchAlone: a sentence's hypotheses have the same bits alone and in any batch,
// on any number of threads.
func TestBeamSearchAlone(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	o := generate.BeamOptions{Beams: 5, MaxLength: 30, LengthPenalty: 1, Start: 2, EOS: []int32{2}, NumReturn: 3}
	together, err := generate.BeamSearch(context.Background(), translator(t, 3), generate.SourcesOf(want.Sources, want.Code), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := translator(t, 1)
	for i := range want.Sources {
		alone, err := generate.BeamSearch(context.Background(), m, generate.SourcesOf(want.Sources[i:i+1], want.Code), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for j := range alone[0] {
			if a, b := alone[0][j], together[i][j]; !slices.Equal(a.Tokens, b.Tokens) || a.Score != b.Score {
				t.Errorf("source %d, hypothesis %d differs: %v, %v", i, j, a, b)
			}
		}
	}
}

// TestBeamStream: sources that arrive while others are in work, with their own settings, have
// the hypotheses of a search for all of them with these settings.
func TestBeamStream(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	m := translator(t, 2)
	o := generate.BeamOptions{Beams: 4, MaxLength: 30, LengthPenalty: 1, Start: 2, EOS: []int32{2}, NumReturn: 2, MaxActive: 3}
	strict := o
	strict.NoRepeatNGram = 2
	plain, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf(want.Sources, want.Code), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	bans, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf(want.Sources, want.Code), strict, nil)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 0))
		given, blocked := 0, 0
		got := map[int][]generate.Hypothesis{}
		next := func(wait bool) (s generate.Source, ok bool) {
			if given == 2*len(want.Sources) || !wait && r.IntN(3) > 0 {
				return s, false
			}
			if wait {
				blocked++
			}
			s.Tokens, s.ForcedBOS = want.Sources[given/2], want.Code
			s.NoRepeatNGram = given % 2 * 2
			given++
			return s, true
		}
		err := generate.BeamStream(t.Context(), m, o, next, func(i int, best []generate.Hypothesis) error {
			got[i] = best
			return nil
		})
		if err != nil || len(got) != 2*len(want.Sources) || blocked == 0 {
			t.Fatalf("%v, %d results, blocked %d times", err, len(got), blocked)
		}
		for i, best := range got {
			expected := plain[i/2]
			if i%2 == 1 {
				expected = bans[i/2]
				if !slices.Equal(plain[i/2][0].Tokens, expected[0].Tokens) {
					differ++
				}
			}
			for j := range expected {
				if !slices.Equal(best[j].Tokens, expected[j].Tokens) || best[j].Score != expected[j].Score {
					t.Errorf("source %d, hypothesis %d: %v, want %v", i, j, best[j], expected[j])
				}
			}
		}
	}
	if differ == 0 {
		t.Error("the setting of a source changes nothing")
	}
	broken := errors.New("broken")
	err = generate.BeamStream(t.Context(), m, o, func(bool) (generate.Source, bool) { return generate.Source{Tokens: want.Sources[0]}, true },
		func(int, []generate.Hypothesis) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("an error of done: %v", err)
	}
}
