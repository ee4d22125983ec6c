package backend

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/score"
	"barka/internal/tokenizer"
)

// Verification compares a base model with an adapter, which is applied on the fly, with the
// merged model: the log-probability of every token of some texts.
type Verification struct {
	// Texts are the texts to compare on; nil means VerifyTexts.
	Texts []string
	// Bound is the largest difference allowed; 0 means VerifyBounds for the stored type.
	Bound float64
}

//go:embed verify_texts.txt
var verifyTexts string

// VerifyTexts returns the texts that are used unless others are given: eight in English,
// one of them code and one a translation, and eight in Arabic.
func VerifyTexts() []string { return strings.Split(strings.TrimSpace(verifyTexts), "\n") }

// VerifyBounds holds the largest difference allowed, by the coarsest type in which a merged
// model's matrices are stored: the merge rounds to it once. docs/merge.md has the
// differences that were measured.
var VerifyBounds = map[dtype.DType]float64{dtype.F32: 0.001, dtype.F16: 0.2, dtype.BF16: 0.5}

// Verified is what a verification found.
type Verified struct {
	Texts  int `json:"texts"`
	Tokens int `json:"tokens"`
	// Stored is the coarsest type of the merged matrices.
	Stored dtype.DType `json:"stored"`
	// Largest and Mean are absolute differences of natural log-probabilities between base
	// with adapter and merged model. Bound is the largest allowed.
	Largest float64 `json:"largest"`
	Mean    float64 `json:"mean"`
	Bound   float64 `json:"bound"`
	// AdapterLargest and AdapterMean are the same between base with and without the
	// adapter: a difference below them would be seen if the merge had left the adapter out.
	AdapterLargest float64 `json:"adapter_largest"`
	AdapterMean    float64 `json:"adapter_mean"`
	// Text, from 1, and Token are where the largest difference is.
	Text  int    `json:"text"`
	Token string `json:"token"`
	// The log-probabilities there.
	Adapted float64 `json:"adapted_logprob"`
	Merged  float64 `json:"merged_logprob"`
}

// String describes the result in a line.
func (v *Verified) String() string {
	return fmt.Sprintf("%d texts, %d tokens: log-probabilities differ by at most %.3g (in the mean %.3g) between base with adapter and "+
		"merged model, allowed %g for %s; the adapter changes them by at most %.3g (in the mean %.3g)",
		v.Texts, v.Tokens, v.Largest, v.Mean, v.Bound, v.Stored, v.AdapterLargest, v.AdapterMean)
}

// Blind reports whether a merge without the adapter would have passed.
func (v *Verified) Blind() bool { return v.AdapterLargest <= v.Bound }

// err is the error of a merged model that differs too much.
func (v *Verified) err() error {
	if v.Largest <= v.Bound {
		return nil
	}
	return fmt.Errorf("merge: the merged model is not base and adapter: in text %d the log-probability of %q is %.4f with the adapter and "+
		"%.4f merged, a difference of %.3g (in the mean of %d tokens %.3g); allowed are %g for %s (--verify-bound)",
		v.Text, v.Token, v.Adapted, v.Merged, v.Largest, v.Tokens, v.Mean, v.Bound, v.Stored)
}

// verifier compares merged models with a base and an adapter.
type verifier struct {
	e             *Engine
	base, adapter string // directories
	tok           *tokenizer.Tokenizer
	requests      []score.Request // one per text
	bound         float64
}

// verifier checks the verification's texts before anything is merged.
func (e *Engine) verifier(base, adapter string, v *Verification) (*verifier, error) {
	if err := model.CheckKind(base, false); err != nil {
		return nil, err
	}
	if !(v.Bound >= 0) || math.IsInf(v.Bound, 0) {
		return nil, badinput.Errorf("verify-bound is %g, expected a positive number, or 0 for the bound of the stored type", v.Bound)
	}
	o, err := e.options(base)
	if err == nil {
		err = e.fits(base, o)
	}
	if err != nil {
		return nil, fmt.Errorf("merge --verify: %w", err)
	}
	tok, err := tokenizer.Load(base)
	if err != nil {
		return nil, err
	}
	texts := v.Texts
	if texts == nil {
		texts = VerifyTexts()
	}
	r := &verifier{e: e, base: base, adapter: adapter, tok: tok, bound: v.Bound}
	for i, text := range texts {
		ids := tok.Encode(text, true)
		if len(ids) < 2 {
			return nil, badinput.Errorf("verify-prompts: text %d, %q, has %d tokens; expected two or more", i+1, text, len(ids))
		}
		r.requests = append(r.requests, score.Request{Context: ids[:1], Continuation: ids[1:]})
	}
	if len(r.requests) == 0 {
		return nil, badinput.Errorf("verify-prompts: expected a text to compare on, found none")
	}
	return r, nil
}

// run compares the merged model in dir, and returns an error if it differs too much. The two
// models are open one after the other.
func (r *verifier) run(ctx context.Context, dir string, reporter progress.Reporter) (*Verified, error) {
	v := &Verified{Texts: len(r.requests), Bound: r.bound}
	var err error
	if v.Stored, err = coarsest(dir); err != nil {
		return nil, err
	}
	if v.Bound == 0 {
		v.Bound = VerifyBounds[v.Stored]
	}
	reporter.Start("verify", 3*int64(len(r.requests)), "texts")
	defer reporter.Done()
	adapted, plain, err := r.unmerged(ctx, reporter)
	if err != nil {
		return nil, err
	}
	runtime.GC() // before the merged model takes the same memory again
	o, err := r.e.options(dir)
	if err != nil {
		return nil, err
	}
	m, err := model.OpenDecoder(dir, o)
	if err != nil {
		return nil, err
	}
	merged, err := r.score(ctx, m, reporter)
	if err = errors.Join(err, m.Close()); err != nil {
		return nil, err
	}
	r.compare(v, adapted, plain, merged)
	return v, v.err()
}

// unmerged scores the texts with the base model, with and without the adapter.
func (r *verifier) unmerged(ctx context.Context, reporter progress.Reporter) (adapted, plain []score.Result, err error) {
	d, err := r.e.OpenDecoder(r.base, "")
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	if plain, err = r.score(ctx, d.Model, reporter); err != nil {
		return nil, nil, err
	}
	if _, err := model.LoadAdapter(d.Model, r.adapter); err != nil {
		return nil, nil, err
	}
	if err := r.e.watch.check(r.adapter); err != nil {
		return nil, nil, err
	}
	adapted, err = r.score(ctx, d.Model, reporter)
	return adapted, plain, err
}

func (r *verifier) score(ctx context.Context, m model.Decoder, reporter progress.Reporter) ([]score.Result, error) {
	s := score.Scorer{Model: m, Options: score.Options{NoTruncation: true}}
	return s.LogLikelihoods(ctx, r.requests, func(n int) { reporter.Add(int64(n)) })
}

// compare fills in the differences.
func (r *verifier) compare(v *Verified, adapted, plain, merged []score.Result) {
	for i, request := range r.requests {
		for j, token := range request.Continuation {
			a, b, m := float64(adapted[i].Tokens[j]), float64(plain[i].Tokens[j]), float64(merged[i].Tokens[j])
			v.Tokens++
			v.AdapterLargest = max(v.AdapterLargest, math.Abs(a-b))
			v.AdapterMean += math.Abs(a - b)
			v.Mean += math.Abs(a - m)
			if d := math.Abs(a - m); d > v.Largest || v.Text == 0 {
				v.Largest, v.Text, v.Token, v.Adapted, v.Merged = d, i+1, r.tok.Decode([]int32{token}, false), a, m
			}
		}
	}
	v.Mean /= float64(v.Tokens)
	v.AdapterMean /= float64(v.Tokens)
}

// coarsest returns the coarsest type of a checkpoint's matrices.
func coarsest(dir string) (dtype.DType, error) {
	ck, err := checkpoint.Open(dir)
	if err != nil {
		return "", err
	}
	defer ck.Close()
	found := dtype.F32
	for _, name := range ck.Names() {
		switch dt, shape, _ := ck.Info(name); {
		case len(shape) != 2:
		case dt == dtype.BF16:
			return dt, nil
		case dt == dtype.F16:
			found = dt
		}
	}
	return found, nil
}
