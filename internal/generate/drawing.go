package generate

import (
	"barka/internal/parallel"
	"barka/internal/tensor"
)

// drawing chooses tokens from logits, several rows at once. Its memory is reused.
type drawing struct {
	workers *parallel.Pool
	sampler []sampler // one per worker
	logits  []float32
}

// run computes the logits of the states h [n,D] and calls choose for each row, on threads
// workers. Rows are processed together, so that the head is read once for all of them.
func (d *drawing) run(dev tensor.Device, threads int, h tensor.Tensor, head tensor.Weight, softcap float32,
	choose func(row int, s *sampler, logits []float32)) {
	vocabulary, _ := head.Dims()
	if d.workers == nil {
		d.workers = parallel.New(threads)
		d.sampler = make([]sampler, d.workers.Workers())
	}
	most := max(1, logitBudget/vocabulary)
	for first := 0; first < h.Rows; first += most {
		n := min(most, h.Rows-first)
		t := dev.Alloc(n, vocabulary)
		dev.MatMul(t, h.Slice(first, first+n), head, tensor.Tensor{}, false)
		if softcap > 0 {
			dev.Softcap(t, softcap)
		}
		if cap(d.logits) < t.Len() {
			d.logits = make([]float32, t.Len())
		}
		logits := d.logits[:t.Len()]
		dev.Download(logits, t)
		dev.Free(t)
		d.workers.For(n, 1, func(worker, lo, hi int) {
			for i := lo; i < hi; i++ {
				choose(first+i, &d.sampler[worker], logits[i*vocabulary:(i+1)*vocabulary])
			}
		})
	}
}

func (d *drawing) close() {
	if d.workers != nil {
		d.workers.Close()
		d.workers = nil
	}
}
