package cpu

import (
	"math/rand/v2"
	"testing"

	"barka/internal/tensor"
)

// TestMemoryOfRaggedBatches: batches of changing sizes reuse the memory of earlier
// ones, and never hold much more than the largest batch needed.
func TestMemoryOfRaggedBatches(t *testing.T) {
	d := New(1)
	defer d.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rows := 900 + r.IntN(1200)
		x := d.Alloc(rows, 512)
		for range 6 {
			qkv, y := d.Alloc(rows, 1536), d.Alloc(rows, 512)
			d.Free(qkv)
			up := d.Alloc(rows, 2048)
			d.Free(up, y)
		}
		scored := d.Alloc(r.IntN(rows)+1, 512)
		d.Free(x, scored)
		if held := d.live + d.idle; held > d.peak+d.peak/4 {
			t.Fatalf("%d bytes held, at most %d were in use", held, d.peak)
		}
	}
	if d.live != 0 {
		t.Errorf("%d bytes are live", d.live)
	}
	var kept int64
	for size, list := range d.free {
		kept += int64(4 * size * len(list))
	}
	if kept != d.idle {
		t.Errorf("%d bytes are kept, %d are counted", kept, d.idle)
	}
	allocs := testing.AllocsPerRun(10, func() {
		var ts []tensor.Tensor
		for _, cols := range []int{512, 1536, 2048} {
			ts = append(ts[:0], d.Alloc(1000, cols))
			d.Free(ts[0])
		}
	})
	if allocs > 1 { // the slice
		t.Errorf("%v allocations per round of sizes that were seen before", allocs)
	}
}
