package generate_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/panics"
)

// TestUnlimitedAnswers: answers without a limit end at the model's last position, and do
// not wait for possibly longer ones.
func TestUnlimitedAnswers(t *testing.T) {
	m := open(t, "gemma2", 2, dtype.F32)
	e := &generate.Engine{Model: hollow{m}}
	defer e.Close()
	positions := m.Info().MaxPositions
	var calls []*generate.Call
	for i := range int32(4) {
		c, err := e.Submit(context.Background(), generate.Request{Prompt: []int32{2, 5 + i, 9}, MaxNewTokens: 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	for i, c := range calls {
		if r, err := c.Wait(); err != nil || len(r.Tokens) != positions-3 || r.Finish != generate.FinishLength {
			t.Errorf("request %d: %d tokens, %q, %v", i, len(r.Tokens), r.Finish, err)
		}
	}
	if s := e.Stats(); s.Passes > 2*int64(positions) {
		t.Errorf("%d passes for four answers of %d tokens", s.Passes, positions)
	}
}

// TestCloseEndsRequests: Close ends all requests with an error, and nothing hangs.
func TestCloseEndsRequests(t *testing.T) {
	m := open(t, "gemma2", 1, dtype.F32)
	e := &generate.Engine{Model: m}
	running := make(chan struct{})
	var once sync.Once
	c, err := e.Submit(context.Background(), generate.Request{Prompt: []int32{2, 5}, MaxNewTokens: 200,
		OnToken: func(int32) { once.Do(func() { close(running) }) }})
	if err != nil {
		t.Fatal(err)
	}
	<-running
	e.Close()
	if _, err := c.Wait(); err == nil {
		if r, _ := c.Wait(); len(r.Tokens) < 200 {
			t.Error("a request of a closed engine ended early without an error")
		}
	}
}

// TestPanicsReachTheCaller: a panic in the engine's goroutine ends all calls, and the
// engine can be closed.
func TestPanicsReachTheCaller(t *testing.T) {
	e := &generate.Engine{Model: open(t, "gemma2", 2, dtype.F32)}
	var calls []*generate.Call
	for i := range 3 {
		r := generate.Request{Prompt: []int32{2, 5}, MaxNewTokens: 20}
		if i == 1 {
			r.OnToken = func(int32) { panic("boom") }
		}
		c, err := e.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	err := panics.Catch(func() error { _, err := calls[1].Wait(); return err })
	var p *panics.Error
	if !errors.As(err, &p) || p.Value != "boom" {
		t.Errorf("%v, want the panic", err)
	}
	e.Close()
}

func TestRefusals(t *testing.T) {
	m := open(t, "gemma2", 1, dtype.F32)
	e := &generate.Engine{Model: m}
	defer e.Close()
	ok := generate.Request{Prompt: []int32{2, 5}, MaxNewTokens: 1}
	nan := math.NaN()
	for what, change := range map[string]func(r *generate.Request){
		"no tokens":     func(r *generate.Request) { r.Prompt = nil },
		"positions":     func(r *generate.Request) { r.Prompt = make([]int32, 256) },
		"max tokens":    func(r *generate.Request) { r.MaxNewTokens = 0 },
		"vocabulary":    func(r *generate.Request) { r.Prompt = []int32{320} },
		"token -1":      func(r *generate.Request) { r.Prompt = []int32{-1} },
		"temperature":   func(r *generate.Request) { r.Sampling.Temperature = nan },
		"top-k":         func(r *generate.Request) { r.Sampling.TopK = -1 },
		"top-p":         func(r *generate.Request) { r.Sampling.TopP = nan },
		"min-p":         func(r *generate.Request) { r.Sampling.MinP = 1.5 },
		"penalty":       func(r *generate.Request) { r.Sampling.RepetitionPenalty = -1 },
		"stop strings":  func(r *generate.Request) { r.StopStrings = []string{"x"} },
		"temperature -": func(r *generate.Request) { r.Sampling.Temperature = -1 },
	} {
		r := ok
		change(&r)
		word, _, _ := strings.Cut(what, " -")
		if _, err := e.Submit(context.Background(), r); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := (&generate.Generator{Model: m}).Run(context.Background(), []generate.Request{ok, {MaxNewTokens: 1}},
		nil); err == nil || !strings.Contains(err.Error(), "request 1") {
		t.Errorf("the second request: %v", err)
	}
}
