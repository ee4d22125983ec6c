package generate_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"barka/internal/dtype"
	"barka/internal/generate"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tensor/failing"
)

// onFailing opens a model on a device that can fail.
func onFailing[M any](t *testing.T, name string, open func(dir string, o model.Options) (M, error)) (M, *failing.Device) {
	t.Helper()
	host := cpu.New(1)
	t.Cleanup(host.Close)
	dev := &failing.Device{Device: host, After: -1}
	m, err := open(golden.Dir(name), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	return m, dev
}

// check fails unless errs are errors of the device, at least so many.
func check(t *testing.T, errs []error, least int) {
	t.Helper()
	for n, err := range errs {
		if f := (*tensor.Failure)(nil); !errors.As(err, &f) || !errors.Is(err, failing.Err) {
			t.Fatalf("failure after %d operations: error %v, want that of the device", n, err)
		}
	}
	if len(errs) < least {
		t.Errorf("the work can fail in %d places, expected at least %d", len(errs), least)
	}
}

// TestEngineFails: when the device fails, requests end with its error. The engine serves later
// ones, with the results that it had before.
func TestEngineFails(t *testing.T) {
	m, dev := onFailing(t, "gemma2", model.OpenDecoder)
	e := &generate.Engine{Model: m, CacheBytes: 1 << 16}
	defer e.Close()
	run := func() (generate.Result, error) {
		c, err := e.Submit(context.Background(), generate.Request{Prompt: []int32{2, 5, 9, 7}, MaxNewTokens: 2})
		if err != nil {
			t.Fatal(err)
		}
		return c.Wait()
	}
	before, err := run()
	if err != nil {
		t.Fatal(err)
	}
	var after generate.Result
	check(t, dev.Until(func() (err error) {
		after, err = run()
		return err
	}), 20)
	if fmt.Sprint(after.Tokens) != fmt.Sprint(before.Tokens) {
		t.Errorf("after the failures %v, before %v", after.Tokens, before.Tokens)
	}
}

// TestBeamSearchFails: when the device fails, the search ends with its error.
func TestBeamSearchFails(t *testing.T) {
	m, dev := onFailing(t, "m2m100", model.OpenSeq2Seq)
	o := generate.BeamOptions{Beams: 2, MaxLength: 5, Start: 2, EOS: []int32{2}, Attention: true}
	var best [][]generate.Hypothesis
	check(t, dev.Until(func() (err error) {
		best, err = generate.BeamSearch(context.Background(), m, []generate.Source{{Tokens: []int32{5, 6, 2}, ForcedBOS: -1}}, o, nil)
		return err
	}), 40)
	check(t, dev.Until(func() error {
		_, err := generate.Attention(m, []int32{5, 6, 2}, []int32{2, 7, 8}, 1)
		return err
	}), 20)
	if len(best) != 1 || len(best[0]) == 0 {
		t.Errorf("after the failures the search returns %v", best)
	}
}

// TestEngineTooLittleMemory: passes for which the memory of a device is too short run again with fewer
// tokens. Answers, drawn ones too, have the same bits.
func TestEngineTooLittleMemory(t *testing.T) {
	m, dev := onFailing(t, "gemma2", model.OpenDecoder)
	reqs := mixed(t, "gemma2")[:5]
	for i := range reqs {
		reqs[i].MaxNewTokens = 3
	}
	run := func() ([]generate.Result, error) {
		return (&generate.Generator{Model: m, MaxBatchTokens: 40}).Run(context.Background(), reqs, nil)
	}
	want, err := run()
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	n := dev.EachFull(func(after int) {
		got, err := run()
		switch {
		case tensor.OutOfMemory(err):
			failed++ // before a batch is scheduled, or in one of a single token
		case err != nil:
			t.Fatal(err)
		}
		for i := range got {
			if err == nil && !same(got[i], want[i]) {
				t.Fatalf("no memory after %d operations: request %d: %v, want %v", after, i, got[i], want[i])
			}
		}
	})
	if n < 100 || failed > n/10 {
		t.Errorf("the memory can be too short in %d places, in %d of them for good", n, failed)
	}
}

// TestEncodingTooLittleMemory: sources for which the memory of a device is too short are encoded in
// smaller batches, and the search has the same hypotheses.
func TestEncodingTooLittleMemory(t *testing.T) {
	m, dev := onFailing(t, "m2m100", model.OpenSeq2Seq)
	o := generate.BeamOptions{Beams: 2, MaxLength: 3, Start: 2, EOS: []int32{2}}
	sources := generate.SourcesOf([][]int32{{5, 6, 2}, {7, 8, 9, 2}, {11, 2}}, -1)
	run := func() ([][]generate.Hypothesis, error) {
		return generate.BeamSearch(context.Background(), m, sources, o, nil)
	}
	want, err := run()
	if err != nil {
		t.Fatal(err)
	}
	encoded := 0
	dev.EachFull(func(after int) {
		got, err := run()
		if err != nil && !tensor.OutOfMemory(err) {
			t.Fatal(err)
		}
		if err == nil {
			encoded++
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("no memory after %d operations: %v, want %v", after, got, want)
			}
		}
	})
	if encoded < 30 {
		t.Errorf("sources were encoded again in %d cases", encoded)
	}
}
