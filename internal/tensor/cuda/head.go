//go:build cuda && linux

package cuda

import (
	"encoding/binary"
	"math"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// Logits exist for some rows at a time: at most headRows, and at most headValues in all (1 GiB). The
// limits do not depend on the GPU, because the gradient of a trained head is summed chunk by chunk.
const (
	headRows   = 1024
	headValues = 1 << 28
)

// chunkRows returns how many rows have logits of n tokens at once.
func chunkRows(n int) int { return max(1, min(headRows, headValues/max(n, 1))) }

// rowBytes is the size of struct Row in head.cu, which has the results of one row.
const rowBytes = 32

// head is one pass of rows over the vocabulary of an output head.
type head struct {
	w       tensor.Weight
	n       int // tokens
	softcap float32
	targets list         // ids in the GPU's memory, or none
	rows    cuda.Pointer // [rows] of rowBytes
}

// checkTargets panics unless there is a target for each row and each is a token.
func checkTargets(targets []int32, rows, n, out int) {
	if len(targets) != rows || out != rows {
		panic("cuda: the targets or the results do not fit the rows")
	}
	for _, t := range targets {
		if t < 0 || int(t) >= n {
			panic("cuda: a target is outside the vocabulary")
		}
	}
}

// openHead checks a pass and takes the memory of its results.
func (d *Device) openHead(h tensor.Tensor, w tensor.Weight, softcap float32) head {
	n, k := w.Dims()
	if h.Cols != k || n == 0 {
		panic("cuda: the hidden states do not fit the head")
	}
	return head{w: w, n: n, softcap: softcap, rows: d.take(rowBytes * h.Rows)}
}

// scan caps the logits [hi-lo, tokens] of the rows lo ≤ i < hi and finds what struct Row has.
func (d *Device) scan(p *head, logits tensor.Tensor, lo, hi int) {
	targets := cuda.Argument(0)
	if p.targets.at != 0 {
		targets = cuda.Argument(p.targets.at) + cuda.Argument(4*lo)
	}
	d.launch("head_scan", hi-lo, 1, cuda.Argument(p.rows)+cuda.Argument(rowBytes*lo), pointer(logits), targets,
		cuda.Int(logits.Cols), cuda.Size(logits.Cols), cuda.Float(p.softcap))
}

// eachChunk computes the logits [hi-lo, n] of chunks of rows of h and calls use with each.
func (d *Device) eachChunk(name string, h tensor.Tensor, p *head, use func(logits tensor.Tensor, lo, hi int)) {
	rows := min(chunkRows(p.n), h.Rows)
	if rows == 0 {
		return
	}
	all := tensor.Tensor{Rows: rows, Cols: p.n, Handle: uintptr(d.take(4 * rows * p.n))}
	defer d.give(cuda.Pointer(all.Handle))
	for lo := 0; lo < h.Rows; lo += rows {
		hi := min(lo+rows, h.Rows)
		logits := all.Slice(0, hi-lo)
		d.MatMul(logits, h.Slice(lo, hi), p.w, tensor.Tensor{}, false)
		d.begin(name, h)
		use(logits, lo, hi)
	}
}

// Trains implements tensor.Device.
func (d *Device) Trains(w tensor.Weight, grad tensor.Tensor) {
	n, k := w.Dims()
	if grad.Rows != n || grad.Cols != k {
		panic("cuda: Trains: the gradient does not fit the weight")
	}
	w.(*weight).grad = grad
}

// CrossEntropy implements tensor.Device.
func (d *Device) CrossEntropy(nll, dh, h tensor.Tensor, w tensor.Weight, targets tensor.Ints, weights tensor.Tensor, softcap float32) {
	d.begin("CrossEntropy", h)
	p := d.openHead(h, w, softcap)
	defer d.give(p.rows)
	checkTargets(targets.Host, h.Rows, p.n, nll.Len())
	if !dh.None() {
		sameShape(dh, h)
		if weights.Len() != h.Rows {
			panic("cuda: the weights do not fit the rows")
		}
	}
	p.targets = d.ints(targets)
	defer d.drop(p.targets)
	each := d.values(weights)
	defer d.drop(each)
	d.eachChunk("CrossEntropy", h, &p, func(logits tensor.Tensor, lo, hi int) {
		d.scan(&p, logits, lo, hi)
		if dh.None() {
			return
		}
		at := cuda.Argument(4 * lo)
		d.launch("head_gradient", hi-lo, 1, pointer(logits), cuda.Argument(p.rows)+cuda.Argument(rowBytes*lo),
			cuda.Argument(p.targets.at)+at, cuda.Argument(each.at)+at, cuda.Int(p.n), cuda.Float(softcap))
		d.MatMulT(dh.Slice(lo, hi), logits, w, false)
		if grad := w.(*weight).grad; !grad.None() {
			d.GradWeight(grad, logits, h.Slice(lo, hi))
		}
	})
	d.begin("CrossEntropy", h)
	d.launch("head_losses", (h.Rows+threads-1)/threads, 1, pointer(nll), cuda.Argument(p.rows), cuda.Int(h.Rows))
}

// LogProbs implements tensor.Device.
func (d *Device) LogProbs(h tensor.Tensor, w tensor.Weight, targets tensor.Ints, softcap float32,
	ranks bool) tensor.Pending[tensor.Scores] {
	d.begin("LogProbs", h)
	p := d.openHead(h, w, softcap)
	defer d.give(p.rows)
	checkTargets(targets.Host, h.Rows, p.n, h.Rows)
	p.targets = d.ints(targets)
	defer d.drop(p.targets)
	d.eachChunk("LogProbs", h, &p, func(logits tensor.Tensor, lo, hi int) { d.scan(&p, logits, lo, hi) })
	n := h.Rows
	s := tensor.Scores{LogP: make([]float32, n), Greedy: make([]bool, n)}
	if ranks {
		s.Ranks = make([]int32, n)
	}
	wait := d.collect(p.rows, rowBytes*n)
	return tensor.Later(func() tensor.Scores {
		bytes := wait()
		for i := range n {
			r := bytes[rowBytes*i:]
			s.LogP[i] = float32(float64(float32At(r[8:])) - float64At(r))
			rank := int32(binary.LittleEndian.Uint32(r[16:]))
			s.Greedy[i] = rank == 1
			if ranks {
				s.Ranks[i] = rank
			}
		}
		return s
	})
}

// collect records copies of device memory to the host and returns a function that waits for them. It
// must be called once.
func (d *Device) collect(src cuda.Pointer, n int) func() []byte {
	var waits []func(func([]byte))
	for at := 0; at < n; at += mostReply {
		waits = append(waits, d.pull(src+cuda.Pointer(at), min(mostReply, n-at)))
	}
	return func() []byte {
		bytes := make([]byte, 0, n)
		for _, wait := range waits {
			wait(func(b []byte) { bytes = append(bytes, b...) })
		}
		return bytes
	}
}

func float32At(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
func float64At(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }
