//go:build cuda && linux

package cuda

import (
	"context"
	"reflect"
	"testing"

	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/score"
	"barka/internal/tensor"
)

// state is what must be the same after work that failed as before it.
func (d *Device) state(t *testing.T) (s [4]int64) {
	t.Helper()
	idle := 0
	for _, list := range d.replies.idle {
		idle += len(list)
	}
	return [4]int64{d.memory.live, d.memory.taken, int64(len(d.memory.used)), int64(len(d.replies.all) - idle)}
}

// withoutMemory runs work with a failure of every step-th allocation of the driver, until none is met.
// The work must end as it does without one, in a result or in a lack of memory, and leave no memory
// taken. It returns how often it ended either way.
func withoutMemory(t *testing.T, d *Device, step int, work func() (any, error)) (done, failed int) {
	t.Helper()
	cudatest.OneOrder(t)
	want, err := work()
	if err != nil {
		t.Fatal(err)
	}
	before := d.state(t)
	for n := 1; ; n += step {
		met := cudatest.FailAllocation(t, n)
		got, err := work()
		if err != nil && !tensor.OutOfMemory(err) {
			t.Fatal(err)
		}
		if after := d.state(t); after != before {
			t.Fatalf("allocation %d fails (%v): live, taken, ranges, replies are %v, before %v", n, err, after, before)
		}
		switch {
		case tensor.OutOfMemory(err):
			failed++
		case !reflect.DeepEqual(got, want):
			t.Fatalf("allocation %d fails: %v, want %v", n, got, want)
		default:
			done++
		}
		if !met() {
			return done, failed
		}
	}
}

// decoder opens a reference checkpoint.
func decoder(t *testing.T, d *Device) model.Decoder {
	t.Helper()
	m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: d, DType: dtype.BF16})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Scores have the same bits whichever allocation fails, and nothing stays allocated.
func TestScoringWithoutMemory(t *testing.T) {
	d := open(t)
	s := &score.Scorer{Model: decoder(t, d), Options: score.Options{MaxBatchTokens: 12, Ranks: true}}
	reqs := []score.Request{
		{Context: []int32{2, 3, 4}, Continuation: []int32{5}}, {Context: []int32{2, 3, 4}, Continuation: []int32{6, 7}},
		{Context: []int32{2, 3, 8}, Continuation: []int32{9}}, {Context: []int32{2, 3, 8, 1}, Continuation: []int32{9, 3}},
		{Context: []int32{11, 3}, Continuation: []int32{9}}, {Context: []int32{11, 12, 5, 6, 7}, Continuation: []int32{9}},
	}
	done, failed := withoutMemory(t, d, 9, func() (any, error) { return s.LogLikelihoods(context.Background(), reqs, nil) })
	if done < 5 || failed > done { // a batch of one request cannot be smaller
		t.Errorf("%d runs ended with results, %d without", done, failed)
	}
}

// Answers have the same bits too. A pass of one token cannot be smaller.
func TestAnswersWithoutMemory(t *testing.T) {
	d := open(t)
	m := decoder(t, d)
	reqs := []generate.Request{{Prompt: []int32{2, 5, 9, 7}, MaxNewTokens: 2},
		{Prompt: []int32{2, 5, 9, 8, 3, 1}, MaxNewTokens: 3, Sampling: generate.Sampling{Temperature: 1, Seed: 3}}}
	done, failed := withoutMemory(t, d, 7, func() (any, error) {
		return (&generate.Generator{Model: m}).Run(context.Background(), reqs, nil)
	})
	if done < 5 || failed > done {
		t.Errorf("%d runs ended with results, %d without", done, failed)
	}
}

// Sources are encoded in smaller batches. In other steps of the search the lack of memory is an error.
func TestTranslationWithoutMemory(t *testing.T) {
	d := open(t)
	m, err := model.OpenSeq2Seq(golden.Dir("m2m100"), model.Options{Device: d, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	o := generate.BeamOptions{Beams: 2, MaxLength: 3, Start: 2, EOS: []int32{2}, Attention: true}
	sources := generate.SourcesOf([][]int32{{5, 6, 2}, {7, 8, 9, 2}, {11, 2}}, -1)
	done, failed := withoutMemory(t, d, 13, func() (any, error) {
		return generate.BeamSearch(context.Background(), m, sources, o, nil)
	})
	if done < 2 || failed < 3 {
		t.Errorf("%d runs ended with results, %d without", done, failed)
	}
}

// A step of training that fails leaves nothing allocated.
func TestTrainingWithoutMemory(t *testing.T) {
	d := open(t)
	m := decoder(t, d)
	if _, err := model.LoadAdapter(m, golden.Dir("gemma2")+"/adapter"); err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Linears() {
		l.LoRA.Train(d)
	}
	layout := tensor.Packed(5)
	done, failed := withoutMemory(t, d, 23, func() (any, error) {
		p := &nn.Pass{Dev: d, Layout: &layout, Positions: layout.Positions(), Recompute: 1}
		sum, err := model.Backward(m, p, []int32{2, 5, 9, 8, 3}, []int32{3, 4}, []int32{7, 8}, []float32{1, 1})
		if err != nil {
			return nil, err
		}
		return sum.Get(), nil
	})
	if done != 1 || failed < 5 {
		t.Errorf("%d runs ended with results, %d without", done, failed)
	}
}
