package score_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/score"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tensor/failing"
)

// laterDevice is a device whose scores are not known when LogProbs returns. It logs when each
// batch is started and when its scores are read.
type laterDevice struct {
	*cpu.Device
	log     []string
	started int
}

func (d *laterDevice) LogProbs(h tensor.Tensor, w tensor.Weight, targets tensor.Ints, softcap float32,
	ranks bool) tensor.Pending[tensor.Scores] {
	scores := d.Device.LogProbs(h, w, targets, softcap, ranks)
	n := d.started
	d.started++
	d.log = append(d.log, fmt.Sprint("start ", n))
	return tensor.Later(func() tensor.Scores {
		d.log = append(d.log, fmt.Sprint("read ", n))
		return scores.Get()
	})
}

// laterScorer returns a scorer on a laterDevice.
func laterScorer(t *testing.T, ranks bool) (*score.Scorer, *laterDevice) {
	t.Helper()
	dev := &laterDevice{Device: cpu.New(1)}
	t.Cleanup(dev.Close)
	m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	return &score.Scorer{Model: m, Options: score.Options{MaxBatchTokens: 40, Ranks: ranks}}, dev
}

// TestScoresComeLater: a device that computes beside the program gets the next batch before
// the scores of the last one are read. The results are those of a device that computes at once.
func TestScoresComeLater(t *testing.T) {
	reqs := questions(rand.New(rand.NewPCG(1, 2)))
	host := cpu.New(1)
	t.Cleanup(host.Close)
	m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: host, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	plain := &score.Scorer{Model: m, Options: score.Options{MaxBatchTokens: 40}}
	for _, ranks := range []bool{false, true} {
		plain.Ranks = ranks
		want, err := plain.LogLikelihoods(context.Background(), reqs, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, dev := laterScorer(t, ranks)
		got, err := s.LogLikelihoods(context.Background(), reqs, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("request %d: %+v, want %+v", i, got[i], want[i])
			}
		}
		order := []string{"start 0"}
		for n := 1; n < dev.started; n++ {
			order = append(order, fmt.Sprint("start ", n), fmt.Sprint("read ", n-1))
		}
		order = append(order, fmt.Sprint("read ", dev.started-1))
		if dev.started < 3 || !slices.Equal(dev.log, order) {
			t.Errorf("batches were run in the order %s, want %s", strings.Join(dev.log, ", "), strings.Join(order, ", "))
		}
	}
}

// TestCancelledLater: after a cancellation no batch is started, and the results of the one that
// runs are not lost.
func TestCancelledLater(t *testing.T) {
	s, dev := laterScorer(t, false)
	reqs := questions(rand.New(rand.NewPCG(1, 2)))
	ctx, cancel := context.WithCancel(context.Background())
	asked := 0
	for _, r := range reqs {
		if len(r.Continuation) > 0 {
			asked++
		}
	}
	answered := 0
	err := s.Each(ctx, reqs, func(i int, r score.Result) error {
		if len(r.Tokens) > 0 {
			answered++
			cancel()
		}
		return nil
	})
	if err != context.Canceled {
		t.Fatalf("error %v, want that of the context", err)
	}
	if want := []string{"start 0", "start 1", "read 0", "read 1"}; !slices.Equal(dev.log, want) {
		t.Errorf("batches were run in the order %v, want %v", dev.log, want)
	}
	if answered < 2 || answered >= asked {
		t.Errorf("%d of %d requests answered", answered, asked)
	}
}

// TestFailingDevice: a device that fails while a batch runs, or when its scores are read, is an
// error.
func TestFailingDevice(t *testing.T) {
	host := cpu.New(1)
	t.Cleanup(host.Close)
	dev := &failing.Device{Device: host, After: -1}
	m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	s := &score.Scorer{Model: m, Options: score.Options{MaxBatchTokens: 3}}
	reqs := []score.Request{{Context: []int32{2, 3}, Continuation: []int32{4}}, {Context: []int32{5, 3, 8}, Continuation: []int32{4, 6}}}
	last := map[string]int{}
	errs := dev.Until(func() error {
		_, err := s.LogLikelihoods(context.Background(), reqs, nil)
		return err
	})
	for n, err := range errs {
		var f *tensor.Failure
		if !errors.As(err, &f) {
			t.Fatalf("failure after %d operations: error %v, want that of the device", n, err)
		}
		last[f.Operation]++
	}
	if last["LogProbs"] != 2 || last["MatMul"] == 0 {
		t.Errorf("failures by operation: %v, want two where scores are read", last)
	}
}

// TestTooLittleMemory: a batch for which the memory of a device is too short runs again in smaller
// ones, with the same results, whichever operation fails. A batch of one request cannot.
func TestTooLittleMemory(t *testing.T) {
	host := cpu.New(1)
	t.Cleanup(host.Close)
	dev := &failing.Device{Device: host, After: -1}
	m, err := model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	reqs := questions(rand.New(rand.NewPCG(1, 2)))
	for _, noSharing := range []bool{false, true} {
		s := &score.Scorer{Model: m, Options: score.Options{MaxBatchTokens: 150, Ranks: true, NoPrefixSharing: noSharing}}
		want, err := s.LogLikelihoods(context.Background(), reqs, nil)
		if err != nil {
			t.Fatal(err)
		}
		answered := 0
		n := dev.EachFull(func(after int) {
			answered = 0
			got, err := s.LogLikelihoods(context.Background(), reqs, func(int) { answered++ })
			if err != nil && !strings.Contains(err.Error(), "LogProbs") { // whose result is read when it is too late
				t.Fatalf("no memory after %d operations: %v", after, err)
			}
			if err == nil && (!reflect.DeepEqual(got, want) || answered != len(reqs)) {
				t.Fatalf("no memory after %d operations: the results differ, or %d requests are answered", after, answered)
			}
		})
		if n < 50 {
			t.Errorf("the memory can be too short in %d places", n)
		}
	}
	one := &score.Scorer{Model: m, Options: score.Options{MaxBatchTokens: 40}}
	dev.Full, dev.After = true, 2
	single := []score.Request{{Context: []int32{2, 3}, Continuation: []int32{4}}}
	if _, err := one.LogLikelihoods(context.Background(), single, nil); !tensor.OutOfMemory(err) {
		t.Errorf("a batch that cannot be smaller: error %v", err)
	}
}
