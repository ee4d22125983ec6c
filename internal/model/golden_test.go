package model_test

import (
	"fmt"
	"strings"
	"testing"

	"barka/internal/cpu"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/tensor"
	cpudevice "barka/internal/tensor/cpu"
	"barka/internal/testdevice"
)

// f32Tolerance bounds the difference from PyTorch in float32, relative to the largest value
// of a tensor. Both sum in float32, in different orders; four layers with sums of a few
// dozen terms differ by a few units in the sixth digit.
const f32Tolerance = 2e-5

func open(t testing.TB, name string, threads int, dt dtype.DType) model.Decoder {
	t.Helper()
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: testdevice.New(t, threads), DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// forward runs sequences as one ragged batch and returns hidden states and
// logits.
func forward(t testing.TB, m model.Decoder, seqs [][]int32) (hidden, logits tensor.Tensor) {
	t.Helper()
	var tokens []int32
	var lengths []int
	for _, s := range seqs {
		tokens = append(tokens, s...)
		lengths = append(lengths, len(s))
	}
	layout := tensor.Packed(lengths...)
	dev := m.Device()
	h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, tokens, nil)
	if err != nil {
		t.Fatal(err)
	}
	head, softcap := m.Head()
	y := dev.Alloc(h.Rows, m.Info().Vocab)
	dev.MatMul(y, h, head, tensor.Tensor{}, false)
	if softcap > 0 {
		dev.Softcap(y, softcap)
	}
	return h, y
}

// TestLogits compares every sequence of one ragged batch with transformers' run of that
// sequence alone, at every kernel level.
func TestLogits(t *testing.T) {
	for _, level := range testdevice.Levels() {
		for _, name := range golden.Decoders {
			t.Run(fmt.Sprintf("%s/%s", level, name), func(t *testing.T) {
				defer cpu.Use(level)()
				var want golden.Decoder
				g := golden.Load(t, name, &want)
				m := open(t, name, 2, dtype.F32)
				h, y := forward(t, m, want.Sequences)
				values := func(x tensor.Tensor) []float32 { return testdevice.Values(m.Device(), x) }
				at := 0
				for i, s := range want.Sequences {
					golden.Near(t, fmt.Sprintf("hidden %d", i), values(h.Slice(at, at+len(s))),
						g.Tensor(fmt.Sprintf("hidden.%d", i)), f32Tolerance)
					golden.Near(t, fmt.Sprintf("logits %d", i), values(y.Slice(at, at+len(s))),
						g.Tensor(fmt.Sprintf("logits.%d", i)), f32Tolerance)
					at += len(s)
				}
			})
		}
	}
}

// TestBF16 compares the bfloat16 path with PyTorch's bfloat16 run. PyTorch rounds every
// intermediate result, Barka only the inputs of products, so the two agree to a few units
// of bfloat16 (2⁻⁸). Both must have about the same distance from float32.
func TestBF16(t *testing.T) {
	var want golden.Decoder
	g := golden.Load(t, "gemma2-bf16", &want)
	m := open(t, "gemma2-bf16", 2, dtype.BF16)
	_, y := forward(t, m, want.Sequences)
	at := 0
	for i, s := range want.Sequences {
		got := testdevice.Values(m.Device(), y.Slice(at, at+len(s)))
		golden.Near(t, fmt.Sprintf("logits %d", i), got, g.Tensor(fmt.Sprintf("bf16.logits.%d", i)), 0.05)
		golden.Near(t, fmt.Sprintf("logits %d against float32", i), got,
			g.Tensor(fmt.Sprintf("logits.%d", i)), 0.05)
		at += len(s)
	}
}

// TestI8: the error of 8-bit integers is less than a tenth of the largest logit.
func TestI8(t *testing.T) {
	for _, name := range golden.Decoders {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			g := golden.Load(t, name, &want)
			for _, level := range testdevice.Levels() {
				func() {
					defer cpu.Use(level)()
					m := open(t, name, 2, dtype.I8)
					_, y := forward(t, m, want.Sequences)
					at := 0
					for i, s := range want.Sequences {
						got := testdevice.Values(m.Device(), y.Slice(at, at+len(s)))
						golden.Near(t, fmt.Sprintf("logits %d", i), got, g.Tensor(fmt.Sprintf("logits.%d", i)), 0.1)
						at += len(s)
					}
				}()
			}
		})
	}
}

// TestLoadingIsTold: progress ends at the size of the checkpoint.
func TestLoadingIsTold(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	var last, total int64
	o := model.Options{Device: dev, DType: dtype.F32, Progress: func(loaded, of int64) {
		if loaded < last || of <= 0 || loaded > of {
			t.Errorf("%d of %d bytes after %d", loaded, of, last)
		}
		last, total = loaded, of
	}}
	if _, err := model.OpenDecoder(golden.Dir("gemma2"), o); err != nil {
		t.Fatal(err)
	}
	if last != total || total == 0 {
		t.Errorf("loading ended at %d of %d bytes", last, total)
	}
}

// TestBatchInvariance: a sequence's logits are the same bits alone and in a
// batch, on one thread and on several, in every type.
func TestBatchInvariance(t *testing.T) {
	for _, name := range golden.Decoders {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
			t.Run(fmt.Sprintf("%s/%s", name, dt), func(t *testing.T) {
				var want golden.Decoder
				golden.Load(t, name, &want)
				m := open(t, name, 3, dt)
				_, y := forward(t, m, want.Sequences)
				whole := testdevice.Values(m.Device(), y)
				for _, threads := range []int{1, 2} {
					other := open(t, name, threads, dt)
					at := 0
					for i, s := range want.Sequences {
						_, alone := forward(t, other, want.Sequences[i:i+1])
						for j, v := range testdevice.Values(other.Device(), alone) {
							if w := whole[at*y.Cols+j]; v != w {
								t.Fatalf("sequence %d, %d threads: logit %d is %g alone, %g in the batch", i, threads, j, v, w)
							}
						}
						at += len(s)
					}
				}
			})
		}
	}
}

// TestCache: feeding a sequence in pieces through a cache gives the same
// bits as running it whole.
func TestCache(t *testing.T) {
	for _, name := range golden.Decoders {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			t.Run(name+"/"+string(dt), func(t *testing.T) {
				var want golden.Decoder
				golden.Load(t, name, &want)
				throughCache(t, open(t, name, 2, dt), want.Sequences[4])
			})
		}
	}
}

func throughCache(t *testing.T, m model.Decoder, seq []int32) {
	h, _ := forward(t, m, [][]int32{seq})
	whole := testdevice.Values(m.Device(), h)
	cache := m.NewCache()
	var rows []int32
	for at := 0; at < len(seq); {
		n := min(1+at%5, len(seq)-at)
		fresh := cache.Reserve(n)
		rows = append(rows, fresh...)
		layout := tensor.Layout{Starts: []int32{0, int32(n)}, Past: []int32{int32(at)}, Keys: [][]int32{rows}}
		p := &nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions(), Rows: fresh}
		h, _, err := m.Forward(p, seq[at:at+n], cache)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range testdevice.Values(m.Device(), h) {
			if w := whole[at*h.Cols+i]; v != w {
				t.Fatalf("token %d: state %d is %g through the cache, %g whole", at+i/h.Cols, i%h.Cols, v, w)
			}
		}
		at += n
	}
}

// TestBrokenCheckpoints: errors name the tensors that do not fit.
func TestBrokenCheckpoints(t *testing.T) {
	dev := cpudevice.New(1)
	defer dev.Close()
	o := model.Options{Device: dev, DType: dtype.F32}
	for _, c := range []struct{ config, want string }{
		{`{"architectures":["MambaForCausalLM"]}`, "not supported"},
		{`{"architectures":[]}`, "no architectures"},
		{`{`, "not valid JSON"},
		{`{"architectures":["Gemma2ForCausalLM"]}`, "vocab_size is 0"},
	} {
		dir := modelWith(t, c.config)
		if _, err := model.OpenDecoder(dir, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.config, err, c.want)
		}
	}
	if _, err := model.OpenDecoder(golden.Dir("m2m100"), o); err == nil || !strings.Contains(err.Error(), "encoder-decoder") {
		t.Errorf("translation model as a decoder: %v", err)
	}
}
