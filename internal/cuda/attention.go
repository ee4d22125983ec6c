//go:build cuda && linux

package cuda

import "fmt"

// Attention is what the kernels of attention are launched with, beside tensors: a tensor.Layout in
// device memory, and a tensor.Attention.
type Attention struct {
	// Sequence s has the queries Starts[s] ≤ i < Starts[s+1], the first of them at position Past[s],
	// and the keys Keys[KeyStarts[s]] … Keys[KeyStarts[s+1]-1] of the rows of k and v.
	Keys, KeyStarts, Starts, Past Pointer
	Sequences                     int
	Queries, KeyCount             int // of all sequences

	Heads, KVHeads, Width int
	Scale, Softcap        float32
	Window                int
	Causal                bool
}

// Call is a kernel with its grid and its arguments.
type Call struct {
	Kernel    string
	X, Y      int
	Arguments []Argument
}

// headWidths are those of the kernels. Narrower heads are padded.
var headWidths = [...]int{16, 32, 64, 80, 96, 128, 256}

// WidestHead is the largest width of a head.
const WidestHead = 256

// kernel returns the name of a kernel for the heads' width.
func (a *Attention) kernel(name string) string {
	for _, w := range headWidths {
		if a.Width <= w {
			return fmt.Sprintf("%s_f32_%d", name, w)
		}
	}
	panic(fmt.Sprintf("cuda: heads of %d values, at most %d are supported", a.Width, WidestHead))
}

// Rows of a block of scores, as in the kernels.
const (
	manyRows = 64
	fewRows  = 16
	// Of the backward kernels; fewer where heads are widest.
	backwardRows     = 64
	backwardRowsWide = 32
)

// Few reports whether sequences with so many queries each are best computed by ForwardFew.
func (a *Attention) Few(queries int) bool { return queries*a.group() <= fewRows }

func (a *Attention) group() int { return a.Heads / a.KVHeads }

// tiles is the number of blocks that n rows of all sequences, each `unit` rows of scores, may need
// (see part in attend.h).
func (a *Attention) tiles(n, unit, size int) int {
	if a.Sequences == 0 || n == 0 {
		return 0
	}
	return n*unit/size + a.Sequences
}

// common returns the arguments that all kernels end with.
func (a *Attention) common() []Argument {
	causal := 0
	if a.Causal {
		causal = 1
	}
	return []Argument{Argument(a.Keys), Argument(a.KeyStarts), Argument(a.Starts), Argument(a.Past), Int(a.Sequences),
		Int(a.group()), Int(a.Width), Int(a.Heads * a.Width), Int(a.KVHeads * a.Width), Float(a.Scale), Float(a.Softcap),
		Int(a.Window), Int(causal)}
}

// Forward sets out and, if it is not 0, lse.
func (a *Attention) Forward(out, lse, q, k, v Pointer) Call {
	return a.forward("attend", manyRows, out, lse, q, k, v)
}

// ForwardFew is Forward with another division of the work, for few queries a sequence. Its results
// have the same bits.
func (a *Attention) ForwardFew(out, lse, q, k, v Pointer) Call {
	return a.forward("attend_few", fewRows, out, lse, q, k, v)
}

// Backward sets dq, and the rows of dk and dv that sequences list. delta, a value per query and head,
// is workspace.
func (a *Attention) Backward(dq, dk, dv, dout, out, lse, delta, q, k, v Pointer) []Call {
	rows := backwardRows
	if a.Width > 128 {
		rows = backwardRowsWide
	}
	inputs := append([]Argument{Argument(dout), Argument(lse), Argument(delta), Argument(q), Argument(k), Argument(v)}, a.common()...)
	const warps = 8 // of a block of attend_delta
	return []Call{
		{"attend_delta", (a.Queries*a.Heads + warps - 1) / warps, 1,
			[]Argument{Argument(delta), Argument(dout), Argument(out), Int(a.Queries * a.Heads), Int(a.Width)}},
		{a.kernel("attend_dq"), a.tiles(a.Queries, a.group(), rows), a.KVHeads, append([]Argument{Argument(dq)}, inputs...)},
		{a.kernel("attend_dkv"), a.tiles(a.KeyCount, 1, rows), a.KVHeads, append([]Argument{Argument(dk), Argument(dv)}, inputs...)},
	}
}

func (a *Attention) forward(name string, rows int, out, lse, q, k, v Pointer) Call {
	arguments := append([]Argument{Argument(out), Argument(lse), Argument(q), Argument(k), Argument(v)}, a.common()...)
	return Call{a.kernel(name), a.tiles(a.Queries, a.group(), rows), a.KVHeads, arguments}
}
