//go:build cuda && linux

package cuda

import (
	"fmt"
	"slices"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// attention describes an attention over a layout to the kernels.
func (l *layout) attention(a tensor.Attention) cuda.Attention {
	return cuda.Attention{
		Keys: l.list, KeyStarts: l.first, Starts: l.starts, Past: l.past,
		Sequences: l.sequences, Queries: l.rows, KeyCount: l.keys,
		Heads: a.Heads, KVHeads: a.KVHeads, Width: a.HeadDim,
		Scale: a.Scale, Softcap: a.Softcap, Window: a.Window, Causal: a.Causal,
	}
}

// joined returns the layout in which neighbouring sequences with the same keys are one, nil if there
// are none. Attention without positions may use it: the beams of a sentence have the same source, and
// share blocks then.
func joined(l *tensor.Layout) *tensor.Layout {
	j := &tensor.Layout{}
	for s, keys := range l.Keys {
		if n := len(j.Keys); n > 0 && slices.Equal(j.Keys[n-1], keys) {
			continue
		}
		j.Starts, j.Past, j.Keys = append(j.Starts, l.Starts[s]), append(j.Past, l.Past[s]), append(j.Keys, keys)
	}
	if len(j.Keys) == len(l.Keys) {
		return nil
	}
	j.Starts = append(j.Starts, l.Starts[len(l.Past)])
	return j
}

// mostQueries returns the largest number of queries of a sequence.
func mostQueries(l *tensor.Layout) int {
	most := 0
	for s := range l.Past {
		most = max(most, int(l.Starts[s+1]-l.Starts[s]))
	}
	return most
}

// checkAttention panics unless the shapes fit the specification and the layout, and the tensors have one
// type.
func checkAttention(q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout, others ...tensor.Tensor) {
	for _, t := range append(others, k, v) {
		if t.Type != q.Type {
			panic(fmt.Sprintf("cuda: Attend: a tensor is %s, and the queries are %s", t.Type, q.Type))
		}
	}
	sameShape(k, v)
	n := len(l.Past)
	if a.KVHeads <= 0 || a.Heads%a.KVHeads != 0 || q.Cols != a.Heads*a.HeadDim || k.Cols != a.KVHeads*a.HeadDim ||
		len(l.Starts) != n+1 || len(l.Keys) != n || int(l.Starts[n]) != q.Rows {
		panic("cuda: Attend: the shapes do not fit")
	}
	if a.HeadDim > cuda.WidestHead {
		panic("cuda: Attend: a head has more than 256 values")
	}
}

// Attend implements tensor.Device.
func (d *Device) Attend(out, lse, q, k, v tensor.Tensor, a tensor.Attention, keys tensor.Keys) {
	checkAttention(q, k, v, a, keys.Layout, out)
	checkF32("Attend", lse)
	sameShape(out, q)
	if !lse.None() && (lse.Rows != q.Rows || lse.Cols != a.Heads) {
		panic("cuda: Attend: the shapes do not fit")
	}
	d.begin("Attend", out, lse, q, k, v)
	l, own := d.layout(keys)
	if !a.Causal && a.Window == 0 && l.joined != nil {
		l = l.joined
	}
	o := l.attention(a)
	o.BF16 = q.Type == tensor.BF16
	calls := o.Forward(d.kernels, at(out), at(lse), at(q), at(k), at(v))
	if len(calls) > 1 && o.Few(l.most) {
		calls = calls[1:]
	}
	d.call(calls[0])
	d.drop(own)
}

// AttendBackward implements tensor.Device.
func (d *Device) AttendBackward(dq, dk, dv, dout, out, lse, q, k, v tensor.Tensor, a tensor.Attention, keys tensor.Keys) {
	checkAttention(q, k, v, a, keys.Layout, dq, dk, dv, dout, out)
	checkF32("AttendBackward", lse)
	sameShape(dq, q)
	sameShape(dout, q)
	sameShape(out, q)
	sameShape(dk, k)
	sameShape(dv, k)
	if lse.Rows != q.Rows || lse.Cols != a.Heads {
		panic("cuda: AttendBackward: the shapes do not fit")
	}
	d.begin("AttendBackward", dq, dk, dv, dout, out, lse, q, k)
	for _, t := range []tensor.Tensor{dk, dv} { // for rows that no sequence lists
		if t.Len() > 0 {
			d.stream.Fill(at(t), 0, t.Bytes())
		}
	}
	l, own := d.layout(keys)
	delta := d.take(4 * q.Rows * a.Heads)
	o := l.attention(a)
	o.BF16 = q.Type == tensor.BF16
	for _, c := range o.Backward(d.kernels, false, at(dq), at(dk), at(dv), at(dout), at(out), at(lse), delta, at(q), at(k), at(v)) {
		d.call(c)
	}
	d.give(delta)
	d.drop(own)
}

func at(t tensor.Tensor) cuda.Pointer { return cuda.Pointer(t.Handle) }

// call records a kernel of the running operation.
func (d *Device) call(c cuda.Call) { d.launch(c.Kernel, c.X, c.Y, c.Arguments...) }
