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

	// BF16 is the type of q, k, v, the result and their gradients; else they are float32.
	BF16 bool

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
	// Rows is the number of rows of scores that a block of attention computes.
	Rows int
}

// headWidths are those of the kernels. Narrower heads are padded.
var headWidths = [...]int{16, 32, 64, 80, 96, 128, 256}

// WidestHead is the largest width of a head.
const WidestHead = 256

// kernel returns the name of a kernel for the type and the heads' width.
func (a *Attention) kernel(name string) string {
	for _, w := range headWidths {
		if a.Width <= w {
			return fmt.Sprintf("%s_%s_%d", name, a.stored(), w)
		}
	}
	panic(fmt.Sprintf("cuda: heads of %d values, at most %d are supported", a.Width, WidestHead))
}

func (a *Attention) stored() string {
	if a.BF16 {
		return "bf16"
	}
	return "f32"
}

// fewRows is the number of rows of scores of a block for few queries.
const fewRows = 16

// Few reports whether sequences with so many queries each are best computed in blocks of fewRows.
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

// Forward returns the kernels of this GPU that set out and, if it is not 0, lse, for many queries of a
// sequence first. All of them give the same bits. GPUs with little shared memory lack some.
func (a *Attention) Forward(k *Kernels, out, lse, q, key, v Pointer) []Call {
	arguments := append([]Argument{Argument(out), Argument(lse), Argument(q), Argument(key), Argument(v)}, a.common()...)
	var calls []Call
	for _, d := range []struct {
		name string
		rows int
	}{{"attend", 64}, {"attend_few", fewRows}, {"attend_least", fewRows}} {
		if name := a.kernel(d.name); k.Function(name) != nil {
			calls = append(calls, Call{name, a.tiles(a.Queries, a.group(), d.rows), a.KVHeads, arguments, d.rows})
		}
	}
	return calls
}

// Backward returns the kernels that set dq, and the rows of dk and dv that sequences list. delta, a
// value per query and head, is workspace. With least they are those for little shared memory, which
// are chosen too where the GPU has no others, and which only wide heads of float32 need.
func (a *Attention) Backward(kernels *Kernels, least bool, dq, dk, dv, dout, out, lse, delta, q, k, v Pointer) []Call {
	rows, suffix := 64, ""
	if a.Width > 128 {
		rows = 32
	}
	if a.Width > 96 && !a.BF16 && (least || kernels.Function(a.kernel("attend_dkv")) == nil) {
		rows, suffix = rows/2, "_least"
	}
	inputs := append([]Argument{Argument(dout), Argument(lse), Argument(delta), Argument(q), Argument(k), Argument(v)}, a.common()...)
	const warps = 8 // of a block of attend_delta
	return []Call{
		{"attend_delta_" + a.stored(), (a.Queries*a.Heads + warps - 1) / warps, 1,
			[]Argument{Argument(delta), Argument(dout), Argument(out), Int(a.Queries * a.Heads), Int(a.Width)}, warps},
		{a.kernel("attend_dq" + suffix), a.tiles(a.Queries, a.group(), rows), a.KVHeads, append([]Argument{Argument(dq)}, inputs...), rows},
		{a.kernel("attend_dkv" + suffix), a.tiles(a.KeyCount, 1, rows), a.KVHeads,
			append([]Argument{Argument(dk), Argument(dv)}, inputs...), rows},
	}
}
