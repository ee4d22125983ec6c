//go:build cuda && linux

package cuda

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// mostFound is the most tokens of a row that the GPU chooses, MOST in head.cu. The host chooses more.
const mostFound = 2048

// TopK implements tensor.Device.
func (d *Device) TopK(h tensor.Tensor, w tensor.Weight, k int, softcap float32, banned [][]int32,
	extra []tensor.Extra) tensor.Pending[[]tensor.Candidates] {
	d.begin("TopK", h)
	most := 0 // extra tokens of a row
	for _, e := range extra {
		n, cols := e.W.Dims()
		if cols != h.Cols || e.W.DType() != w.DType() || e.Lo < 0 || e.Hi > h.Rows {
			panic("cuda: TopK: extra tokens do not fit the head or the rows")
		}
		most = max(most, n)
	}
	p := d.openHead(h, w, softcap)
	defer d.give(p.rows)
	k = max(0, min(k, p.n))
	var first, bans list
	if banned != nil {
		if len(banned) != h.Rows {
			panic("cuda: TopK: the banned tokens do not fit the rows")
		}
		first, bans = d.bans(banned)
		defer d.drop(first)
		defer d.drop(bans)
	}
	var chosen []func() [][]candidate // by chunk
	d.eachChunk("TopK", h, &p, func(logits tensor.Tensor, lo, hi int) {
		if most > 0 {
			logits = d.joined(logits, h, extra, most, lo, hi)
			defer d.give(cuda.Pointer(logits.Handle))
		}
		d.scan(&p, logits, lo, hi)
		if banned != nil {
			d.launch("head_ban", hi-lo, 1, pointer(logits), cuda.Argument(first.at)+cuda.Argument(4*lo), cuda.Argument(bans.at),
				cuda.Int(logits.Cols), cuda.Size(logits.Cols))
		}
		if k > 0 {
			chosen = append(chosen, d.choose(logits, k))
		}
	})
	n := h.Rows
	wait := d.collect(p.rows, rowBytes*n)
	return tensor.Later(func() []tensor.Candidates { return candidates(wait(), chosen, n, k) })
}

// candidate is a token with its logit.
type candidate struct {
	token int32
	logit float32
}

// candidates joins what each chunk chose with the log-sum-exp of each row.
func candidates(rows []byte, chosen []func() [][]candidate, n, k int) []tensor.Candidates {
	out, tokens, logp := make([]tensor.Candidates, n), make([]int32, n*k), make([]float32, n*k)
	for i := range out {
		out[i] = tensor.Candidates{Tokens: tokens[i*k : (i+1)*k : (i+1)*k], LogP: logp[i*k : (i+1)*k : (i+1)*k]}
	}
	i := 0
	for _, chunk := range chosen {
		for _, best := range chunk() {
			lse := float64At(rows[rowBytes*i:])
			for j, c := range best {
				out[i].Tokens[j], out[i].LogP[j] = c.token, float32(float64(c.logit)-lse)
			}
			i++
		}
	}
	return out
}

// bans brings the banned tokens to the GPU: where each row's begin, and all of them.
func (d *Device) bans(banned [][]int32) (first, all list) {
	starts := make([]int32, 1, len(banned)+1)
	var tokens []int32
	for _, b := range banned {
		tokens = append(tokens, b...)
		starts = append(starts, int32(len(tokens)))
	}
	return d.bring(bytesOf(starts)), d.bring(bytesOf(tokens))
}

// joined returns logits of the rows lo ≤ i < hi of h with those of the extra tokens behind them. Rows
// that have fewer than most get -Inf. The caller gives the memory back.
func (d *Device) joined(logits, h tensor.Tensor, extra []tensor.Extra, most, lo, hi int) tensor.Tensor {
	n := logits.Cols
	all := tensor.Tensor{Rows: hi - lo, Cols: n + most, Handle: uintptr(d.take(4 * (hi - lo) * (n + most)))}
	paste := func(to, x tensor.Tensor, columns, at int) {
		d.launch("paste", to.Rows, 1, pointer(to), pointer(x), cuda.Int(columns), cuda.Size(all.Cols), cuda.Int(at))
	}
	paste(all, logits, n, 0)
	paste(all, tensor.Tensor{}, most, n)
	for _, e := range extra {
		from, to := max(e.Lo, lo), min(e.Hi, hi)
		if from >= to {
			continue
		}
		own, _ := e.W.Dims()
		part := tensor.Tensor{Rows: to - from, Cols: own, Handle: uintptr(d.take(4 * (to - from) * own))}
		d.MatMul(part, h.Slice(from, to), e.W, tensor.Tensor{}, false)
		d.begin("TopK", h)
		paste(all.Slice(from-lo, to-lo), part, own, n)
		d.give(cuda.Pointer(part.Handle))
	}
	return all
}

// choose finds the k best tokens of each row of logits, the best first.
func (d *Device) choose(logits tensor.Tensor, k int) func() [][]candidate {
	rows, cols := logits.Rows, logits.Cols
	if k > mostFound {
		wait := d.collect(cuda.Pointer(logits.Handle), 4*rows*cols)
		return func() [][]candidate { return chooseHost(wait(), rows, cols, k) }
	}
	const size = 8 // of struct Found
	found := d.take(size * rows * k)
	d.launch("head_top", rows, 1, cuda.Argument(found), pointer(logits), cuda.Int(cols), cuda.Size(cols), cuda.Int(k))
	wait := d.collect(found, size*rows*k)
	d.give(found)
	return func() [][]candidate {
		bytes, out := wait(), make([][]candidate, rows)
		for i := range out {
			out[i] = make([]candidate, k)
			for j := range out[i] {
				b := bytes[size*(i*k+j):]
				out[i][j] = candidate{int32(binary.LittleEndian.Uint32(b)), float32At(b[4:])}
			}
		}
		return out
	}
}

// chooseHost does the same on the host, from the bytes of the logits.
func chooseHost(bytes []byte, rows, cols, k int) [][]candidate {
	out := make([][]candidate, rows)
	for i := range out {
		all := make([]candidate, cols)
		for j := range all {
			v := float32At(bytes[4*(i*cols+j):])
			if v != v {
				v = float32(math.Inf(-1))
			}
			all[j] = candidate{int32(j), v}
		}
		slices.SortFunc(all, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.token, b.token))
		})
		out[i] = all[:k]
	}
	return out
}
