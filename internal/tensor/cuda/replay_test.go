//go:build cuda && linux

package cuda

import (
	"errors"
	"testing"

	"barka/internal/tensor"
)

// Steps with one key are recorded the second time, and run without the function from then on.
func TestReplay(t *testing.T) {
	d := open(t)
	x := d.Alloc(4, 8)
	d.Upload(x, sequence(32))
	calls := 0
	step := func(tokens ...int32) []float32 {
		y := d.Replay("key", tensor.Batch{Tokens: tensor.Ints{Host: tokens}}, func(b tensor.Batch) tensor.Tensor {
			calls++
			y, more := d.Alloc(len(tokens), 8), d.Alloc(3, 3)
			d.Gather(y, x, b.Tokens)
			d.Free(more)
			return y
		})
		got := make([]float32, y.Len())
		d.Download(got, y)
		d.Free(y)
		return got
	}
	for i := range 6 {
		token := int32(i % 4)
		if got := step(token, 3-token); got[0] != float32(8*token) || got[8] != float32(8*(3-token)) {
			t.Fatalf("step %d: rows begin with %g and %g", i, got[0], got[8])
		}
	}
	if calls != 2 {
		t.Errorf("the function ran %d times in six steps, want once and once to record", calls)
	}
	if step(1, 2, 3); calls != 3 {
		t.Error("a step of another size ran a recording")
	}
	if len(d.replays.memory.used) != 0 || d.Live() != int64(d.memory.used[at(x)].bytes) {
		t.Errorf("%d ranges of recordings are in use, %d bytes live", len(d.replays.memory.used), d.Live())
	}
}

// Operations that copy from the host cannot be recorded, and are correct all the same.
func TestReplayOfUnpreparedLists(t *testing.T) {
	d := open(t)
	x := d.Alloc(4, 8)
	d.Upload(x, sequence(32))
	for i := range 5 {
		token := int32(i % 4)
		y := d.Replay("key", tensor.Batch{}, func(tensor.Batch) tensor.Tensor {
			y := d.Alloc(1, 8)
			d.Gather(y, x, tensor.Ints{Host: []int32{token}})
			return y
		})
		got := make([]float32, 8)
		if d.Download(got, y); got[0] != float32(8*token) {
			t.Fatalf("step %d: the row begins with %g", i, got[0])
		}
	}
}

// A failure while operations are recorded leaves the device usable.
func TestReplayFails(t *testing.T) {
	d := open(t)
	lost := &tensor.Failure{Device: "test", Operation: "test", Err: errors.New("no memory")}
	for i := range 4 {
		run := func() {
			y := d.Replay("key", tensor.Batch{}, func(tensor.Batch) tensor.Tensor {
				y := d.Alloc(1, 8)
				d.Zero(y)
				if i == 1 {
					panic(lost)
				}
				return y
			})
			got := []float32{1, 1, 1, 1, 1, 1, 1, 1}
			if d.Download(got, y); got[0] != 0 {
				t.Errorf("step %d: the row begins with %g", i, got[0])
			}
		}
		if i != 1 {
			run()
		} else if f := failure(t, run); f != lost {
			t.Errorf("failure %v", f)
		}
	}
}

func sequence(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)
	}
	return v
}
