package generate_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/generate"
	"barka/internal/golden"
	"barka/internal/model"
)

// TestVocabularyOfSources: a search whose vocabulary lacks only tokens of the source gives
// the hypotheses of the whole vocabulary, because a source's own tokens are always there.
func TestVocabularyOfSources(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	m := translator(t, 2)
	o := generate.BeamOptions{Beams: 5, MaxLength: 30, LengthPenalty: 1, NoRepeatNGram: 2, Start: 2, EOS: []int32{2}, NumReturn: 3}
	used := 0 // further tokens in outputs
	for i, tokens := range longSources(m) {
		source := generate.SourcesOf([][]int32{tokens}, want.Code)
		whole := search(t, m, source, o)
		with := o
		with.Vocabulary = generate.NewVocabulary(m, slices.DeleteFunc(tokensOf(m), func(id int32) bool {
			return id != 2 && slices.Contains(tokens, id)
		}))
		for j, got := range search(t, m, source, with)[0] {
			w := whole[0][j]
			if !slices.Equal(got.Tokens, w.Tokens) || math.Abs(float64(got.Score-w.Score)) > 1e-5 {
				t.Errorf("source %d, hypothesis %d: %v, want %v", i, j, got, w)
			}
			for _, id := range got.Tokens[2:] {
				if id != 2 && slices.Contains(tokens, id) {
					used++
				}
			}
		}
	}
	if used == 0 {
		t.Error("no output has a token of its source: the test shows nothing")
	}
}

// TestScreenedVocabulary: with a screen of integers a search gives the hypotheses of the head
// itself.
func TestScreenedVocabulary(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	m := translator(t, 2)
	o := generate.BeamOptions{Beams: 5, MaxLength: 30, LengthPenalty: 1, NoRepeatNGram: 2, Start: 2, EOS: []int32{2}, NumReturn: 3}
	exact := search(t, m, generate.SourcesOf(want.Sources, want.Code), o)
	o.Vocabulary = generate.ScreenedVocabulary(m)
	for i, got := range search(t, m, generate.SourcesOf(want.Sources, want.Code), o) {
		for j, h := range got {
			if w := exact[i][j]; !slices.Equal(h.Tokens, w.Tokens) || math.Abs(float64(h.Score-w.Score)) > 5e-3 {
				t.Errorf("source %d, hypothesis %d: %v, want %v", i, j, h, w)
			}
		}
	}
}

// TestVocabulary: outputs have tokens of the vocabulary and of their own source alone, and
// the same bits in any batch.
func TestVocabulary(t *testing.T) {
	var want golden.Beams
	golden.Load(t, "m2m100", &want)
	m := translator(t, 2)
	some := slices.DeleteFunc(tokensOf(m), func(id int32) bool { return id%4 != 2 })
	o := generate.BeamOptions{Beams: 4, MaxLength: 30, LengthPenalty: 1, NoRepeatNGram: 3, Start: 2, EOS: []int32{2}, NumReturn: 2,
		Vocabulary: generate.NewVocabulary(m, some)}
	if o.Vocabulary.Len() != len(some) {
		t.Errorf("%d tokens, want %d", o.Vocabulary.Len(), len(some))
	}
	sources := longSources(m)
	together := search(t, m, generate.SourcesOf(sources, want.Code), o)
	further := 0
	for i, source := range sources {
		alone := search(t, m, generate.SourcesOf(sources[i:i+1], want.Code), o)[0]
		for j, h := range together[i] {
			if !slices.Equal(h.Tokens, alone[j].Tokens) || h.Score != alone[j].Score {
				t.Errorf("source %d, hypothesis %d: %v together, %v alone", i, j, h, alone[j])
			}
			for _, id := range h.Tokens[2:] {
				if id%4 != 2 {
					further++
				}
				if id%4 != 2 && !slices.Contains(source, id) {
					t.Errorf("source %d: token %d is neither of the vocabulary nor of the source", i, id)
				}
			}
		}
	}
	if further == 0 {
		t.Error("no output has a token of its source: the test shows nothing")
	}
	o.Beams, o.NumReturn, o.Sampling.Temperature = 1, 1, 1
	if _, err := generate.BeamSearch(t.Context(), m, generate.SourcesOf(want.Sources, want.Code), o, nil); err == nil {
		t.Error("a drawn output with a part of the vocabulary is no error")
	}
}

// longSources returns sources with so many tokens that outputs have some of them by chance.
func longSources(m model.Seq2Seq) [][]int32 {
	r := rand.New(rand.NewPCG(3, 4))
	var sources [][]int32
	for range 7 {
		ids := tokensOf(m)
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		sources = append(sources, append(ids[:20+r.IntN(70)], 2))
	}
	return sources
}

func tokensOf(m model.Seq2Seq) []int32 {
	ids := make([]int32, m.Info().Vocab)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

func search(t *testing.T, m model.Seq2Seq, sources []generate.Source, o generate.BeamOptions) [][]generate.Hypothesis {
	t.Helper()
	got, err := generate.BeamSearch(context.Background(), m, sources, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
