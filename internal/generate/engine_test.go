package generate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/testdevice"
)

// decoders lists the reference checkpoints of the architectures that are
// registered.
func decoders(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, name := range []string{"gemma2", "gemma2-bf16", "gptneox", "gptneox-sequential", "llama", "llama-tied", "qwen2"} {
		data, err := model.ReadConfig(golden.Dir(name))
		if err != nil {
			t.Fatal(err)
		}
		var c struct{ Architectures []string }
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(model.Architectures(), c.Architectures[0]) {
			names = append(names, name)
		}
	}
	return names
}

// open loads a reference checkpoint on a device with that many threads.
func open(t testing.TB, name string, threads int, dt dtype.DType) model.Decoder {
	t.Helper()
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: testdevice.New(t, threads), DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mixed returns requests of many kinds: greedy and sampled, with shared prefixes, equal,
// long and short ones.
func mixed(t testing.TB, name string) []generate.Request {
	t.Helper()
	var want golden.Decoder
	golden.Load(t, name, &want)
	long := want.Sequences[4]
	prompts := [][]int32{long, long[:5], want.Sequences[1], slices.Concat(long, want.Sequences[2]), long,
		slices.Concat(long[:12], want.Sequences[3]), want.Sequences[0]}
	samplings := []generate.Sampling{
		{}, {Temperature: 0.8, TopP: 0.95, Seed: 7}, {Temperature: 1.5, TopK: 20, Seed: 8},
		{Temperature: 1, MinP: 0.02, RepetitionPenalty: 1.3, Seed: 9},
		{RepetitionPenalty: 1.2}, {Temperature: 1, Seed: 1 << 40},
	}
	n, tokens := 20, []int{3, 8, 13, 18}
	if testdevice.Emulated() {
		n, tokens = 7, []int{1, 2, 3, 4}
	}
	var reqs []generate.Request
	for i := range n {
		reqs = append(reqs, generate.Request{Prompt: prompts[i%len(prompts)], MaxNewTokens: tokens[i%4], Sampling: samplings[i%len(samplings)]})
	}
	return reqs
}

// some returns the first and every n-th of several cases on the emulated GPU, and all elsewhere.
func some[T any](n int, cases []T) (few []T) {
	for i, c := range cases {
		if !testdevice.Emulated() || i%n == 0 {
			few = append(few, c)
		}
	}
	return few
}

func same(a, b generate.Result) bool {
	return slices.Equal(a.Tokens, b.Tokens) && slices.Equal(a.LogProbs, b.LogProbs) && a.Finish == b.Finish && a.Text == b.Text
}

// alone answers each request separately, without prefix sharing.
func alone(t testing.TB, m model.Decoder, reqs []generate.Request) []generate.Result {
	t.Helper()
	var out []generate.Result
	for i := range reqs {
		r, err := (&generate.Generator{Model: m, NoPrefixSharing: true}).Run(context.Background(), reqs[i:i+1], nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r[0])
	}
	return out
}

// TestAnswersAreTheRequestsOwn: tokens and log-probabilities have the same bits as for the
// request alone, for all batches, chunks of prompts, shared prefixes and numbers of
// threads, and with a cache so small that sequences are preempted.
func TestAnswersAreTheRequestsOwn(t *testing.T) {
	for _, name := range some(4, decoders(t)) {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			t.Run(fmt.Sprintf("%s/%s", name, dt), func(t *testing.T) {
				reqs := mixed(t, name)
				want := alone(t, open(t, name, 1, dt), reqs)
				m := open(t, name, 3, dt)
				row := m.NewCache().RowBytes()
				for _, g := range some(3, []generate.Generator{
					{}, {NoPrefixSharing: true}, {MaxBatchTokens: 1, Threads: 1},
					{MaxBatchTokens: 5, MaxSequences: 3}, {MaxBatchTokens: 33, MaxSequences: 7, NoPrefixSharing: true},
					{CacheBytes: 60 * row}, {CacheBytes: 49 * row, MaxBatchTokens: 4}, {CacheBytes: 60 * row, NoPrefixSharing: true},
				}) {
					g.Model = m
					got, err := g.Run(context.Background(), reqs, nil)
					if err != nil {
						t.Fatal(err)
					}
					for i := range reqs {
						if !same(got[i], want[i]) {
							t.Fatalf("%+v: request %d: %v, alone %v", g, i, got[i], want[i])
						}
					}
				}
			})
		}
	}
}

// TestArrivals: requests that arrive from many goroutines while others run have the same
// answers. Some of them are cancelled.
func TestArrivals(t *testing.T) {
	for _, name := range some(4, decoders(t)) {
		t.Run(name, func(t *testing.T) {
			reqs := mixed(t, name)
			want := alone(t, open(t, name, 1, dtype.F32), reqs)
			m := open(t, name, 2, dtype.F32)
			e := &generate.Engine{Model: m, MaxSequences: 5, MaxBatchTokens: 16, CacheBytes: 90 * m.NewCache().RowBytes()}
			defer e.Close()
			var wg sync.WaitGroup
			for i := range 3 * len(reqs) {
				r, w := reqs[i%len(reqs)], want[i%len(reqs)]
				ctx, cancel := context.WithCancel(context.Background())
				cancelled := i%4 == 3
				if cancelled {
					n := 0
					r.OnToken = func(int32) {
						if n++; n == 2 {
							cancel()
						}
					}
				}
				wg.Go(func() {
					defer cancel()
					call, err := e.Submit(ctx, r)
					if err != nil {
						t.Error(err)
						return
					}
					got, err := call.Wait()
					switch {
					case cancelled && errors.Is(err, context.Canceled):
						if len(got.Tokens) > 2 || !slices.Equal(got.Tokens, w.Tokens[:len(got.Tokens)]) {
							t.Errorf("request %d, cancelled: %v, alone %v", i, got.Tokens, w.Tokens)
						}
					case err != nil:
						t.Error(err)
					case !same(got, w):
						t.Errorf("request %d: %v, alone %v", i, got, w)
					}
				})
			}
			wg.Wait()
			if s := e.Stats(); s.Shared == 0 || s.Rows > 90 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestSharedBeginningsRunOnce: a prefix that prompts share is run once, also for prompts
// that come after the others have finished.
func TestSharedBeginningsRunOnce(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	m := open(t, "gemma2", 2, dtype.F32)
	begin := slices.Concat(want.Sequences[4], want.Sequences[4], want.Sequences[4]) // 72 tokens
	e := &generate.Engine{Model: m, MaxBatchTokens: 16}
	defer e.Close()
	const n = 8
	ask := func(from int32) {
		var calls []*generate.Call
		for i := range int32(n) {
			c, err := e.Submit(context.Background(), generate.Request{Prompt: append(slices.Clone(begin), from+i), MaxNewTokens: 1})
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
		}
		for _, c := range calls {
			if _, err := c.Wait(); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(100)
	if s := e.Stats(); s.Run != int64(len(begin)+n) || s.Shared != int64((n-1)*len(begin)) {
		t.Errorf("together: %+v, expected %d tokens run and %d shared", s, len(begin)+n, (n-1)*len(begin))
	}
	ask(200)
	if s := e.Stats(); s.Run != int64(len(begin)+2*n) {
		t.Errorf("afterwards: %+v, expected %d tokens run", s, len(begin)+2*n)
	}
}

// TestPromptsHoldNobodyUp: sequences that are decoding get a token in every pass, and a
// short prompt does not wait for a long one.
func TestPromptsHoldNobodyUp(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gptneox", &want)
	m := open(t, "gptneox", 2, dtype.F32)
	long := make([]int32, 0, 480)
	for len(long) < 120 {
		long = append(long, want.Sequences[4]...)
	}
	e := &generate.Engine{Model: m, MaxBatchTokens: 8}
	defer e.Close()
	passes := func() int64 { return e.Stats().Passes }
	var decoding, short, longDone int64
	var calls []*generate.Call
	submit := func(r generate.Request) *generate.Call {
		c, err := e.Submit(context.Background(), r)
		if err != nil {
			t.Error(err)
		}
		return c
	}
	begun := make(chan struct{})
	n := int64(0)
	var first int64
	c := submit(generate.Request{Prompt: want.Sequences[1], MaxNewTokens: 40, OnToken: func(int32) {
		if n++; n == 1 {
			first = passes()
			calls = append(calls, submit(generate.Request{Prompt: long, MaxNewTokens: 1, OnToken: func(int32) { longDone = passes() }}),
				submit(generate.Request{Prompt: want.Sequences[2], MaxNewTokens: 1, OnToken: func(int32) { short = passes() }}))
			close(begun)
		}
		if n == 40 {
			decoding = passes()
		}
	}})
	<-begun
	for _, c := range append(calls, c) {
		if _, err := c.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if decoding-first != 39 {
		t.Errorf("39 tokens took %d passes", decoding-first)
	}
	if short-first > 3 {
		t.Errorf("a prompt of %d tokens took %d passes beside a long one", len(want.Sequences[2]), short-first)
	}
	if n := longDone - first; n > 22 {
		t.Errorf("a prompt of %d tokens took %d passes of 8", len(long), n)
	}
}

// TestCacheBound: a request that can never fit is refused with an estimate. A cache with
// room for one request serves many by preemption.
func TestCacheBound(t *testing.T) {
	reqs := mixed(t, "gemma2")
	m := open(t, "gemma2", 2, dtype.F32)
	want := alone(t, m, reqs)
	row := m.NewCache().RowBytes()
	most := 0
	for _, r := range reqs {
		most = max(most, len(r.Prompt)+r.MaxNewTokens-1)
	}
	e := &generate.Engine{Model: m, CacheBytes: int64(most-1) * row}
	refused := 0
	for _, r := range reqs {
		if c, err := e.Submit(context.Background(), r); err == nil {
			if _, err := c.Wait(); err != nil {
				t.Error(err)
			}
		} else if refused++; !badinput.Is(err) || !strings.Contains(err.Error(), "key/value cache") || len(r.Prompt)+r.MaxNewTokens-1 != most {
			t.Errorf("a request of %d+%d tokens in %d rows: %v", len(r.Prompt), r.MaxNewTokens, most-1, err)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	e.Close()
	if _, err := e.Submit(context.Background(), reqs[0]); err == nil {
		t.Error("a closed engine took a request")
	}

	e = &generate.Engine{Model: m, CacheBytes: int64(most) * row}
	defer e.Close()
	var calls []*generate.Call
	all := make(chan struct{})
	submit := func(r generate.Request) {
		c, err := e.Submit(context.Background(), r)
		if err != nil {
			t.Error(err)
		}
		calls = append(calls, c)
	}
	first, n := reqs[0], 0
	first.OnToken = func(int32) { // the others arrive while it runs, all at the same time
		if n++; n > 1 {
			return
		}
		for _, r := range reqs[1:] {
			submit(r)
		}
		close(all)
	}
	c, err := e.Submit(context.Background(), first)
	if err != nil {
		t.Fatal(err)
	}
	<-all
	calls = append([]*generate.Call{c}, calls...)
	for i, c := range calls {
		if got, err := c.Wait(); err != nil || !same(got, want[i]) {
			t.Errorf("request %d: %v (%v), want %v", i, got, err, want[i])
		}
	}
	if s := e.Stats(); s.Rows > most || s.Preempted == 0 {
		t.Errorf("%+v of %d rows; expected that sequences yield", s, most)
	}
}

// TestPenalised compares greedy text under a repetition penalty with
// transformers.
func TestPenalised(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden.Dir("sampling"), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Penalised []struct {
			Model   string
			Penalty float64
			Prompt  []int32
			Tokens  []int32
		}
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, w := range want.Penalised {
		if !slices.Contains(decoders(t), w.Model) {
			continue
		}
		r := generate.Request{Prompt: w.Prompt, MaxNewTokens: len(w.Tokens), Sampling: generate.Sampling{RepetitionPenalty: w.Penalty}}
		got, err := (&generate.Generator{Model: open(t, w.Model, 2, dtype.F32)}).Run(context.Background(), []generate.Request{r}, nil)
		if err != nil || !slices.Equal(got[0].Tokens, w.Tokens) {
			t.Errorf("%s, penalty %g: %v (%v), want %v", w.Model, w.Penalty, got[0].Tokens, err, w.Tokens)
		}
	}
}

// hollow is a decoder without layers, so that only the engine is measured.
type hollow struct{ model.Decoder }

func (m hollow) Forward(p *nn.Pass, tokens []int32, _ *model.Cache) (tensor.Tensor, model.Tape, error) {
	h := p.Dev.Alloc(len(tokens), m.Info().Hidden)
	for i := range h.Data {
		h.Data[i] = float32((i*7+int(tokens[0])*5)%11) - 5
	}
	return h, nil, nil
}

// TestDecodingAllocates: per token the engine allocates a few small objects of the device,
// however long the sequences are.
func TestDecodingAllocates(t *testing.T) {
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	e := &generate.Engine{Model: hollow{open(t, "gemma2", 1, dtype.F32)}}
	defer e.Close()
	const together = 4
	measure := func(sampling generate.Sampling) (early, late float64) {
		var at [3]runtime.MemStats
		var calls []*generate.Call
		n := 0
		for i := range together {
			r := generate.Request{Prompt: want.Sequences[i], MaxNewTokens: 220, Sampling: sampling}
			if i == 0 {
				r.OnToken = func(int32) {
					switch n++; n {
					case 20, 80:
						runtime.ReadMemStats(&at[n/60])
					case 210:
						runtime.ReadMemStats(&at[2])
					}
				}
			}
			c, err := e.Submit(context.Background(), r)
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
		}
		for _, c := range calls {
			if _, err := c.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		per := func(a, b *runtime.MemStats, n int) float64 {
			return float64(b.TotalAlloc-a.TotalAlloc) / float64(n*together)
		}
		return per(&at[0], &at[1], 60), per(&at[1], &at[2], 130)
	}
	for _, s := range []generate.Sampling{{}, {Temperature: 0.9, TopP: 0.9, RepetitionPenalty: 1.1, Seed: 1}} {
		measure(s)
		early, late := measure(s)
		t.Logf("%+v: %.0f bytes per token at first, %.0f later", s, early, late)
		if early > 3000 || late > early+300 {
			t.Errorf("%+v: %.0f bytes per token at first, %.0f later", s, early, late)
		}
	}
}
