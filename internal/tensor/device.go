package tensor

import "barka/internal/dtype"

// Attention is the shape and the arithmetic of one attention:
// scores = Scale·(q·k); with Softcap c > 0, c·tanh(scores/c); then the mask;
// softmax; weighted sum of values. Query head h reads key/value head
// h/(Heads/KVHeads).
type Attention struct {
	Heads, KVHeads, HeadDim int
	Scale                   float32
	Softcap                 float32 // 0: none
	Window                  int     // 0: all; else key j is visible to the query at position p iff j > p-Window
	Causal                  bool    // key j is visible to the query at position p iff j ≤ p
}

// Rotary is a rotary position embedding in the half-split layout: within each
// head of HeadDim values the first 2·len(Freqs) rotate, value i with value
// i+len(Freqs), by the angle position·Freqs[i].
type Rotary struct {
	Heads, HeadDim int
	Freqs          []float32
	// Scale multiplies cosine and sine (1 for plain rotary embeddings).
	Scale float32
}

// Activation names an activation function.
type Activation int

const (
	GELUTanh Activation = iota // 0.5x(1+tanh(√(2/π)(x+0.044715x³)))
	GELUErf                    // 0.5x(1+erf(x/√2))
	SiLU                       // x·sigmoid(x)
	ReLU
)

// AdamW holds the scalars of one optimiser step, in PyTorch's order of
// operations: Correction1 = 1-β1ᵗ, Correction2 = 1-β2ᵗ.
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	Correction1, Correction2           float32
}

// Candidates are the k best tokens of one row, by falling value, the lower
// token first among equals.
type Candidates struct {
	Tokens []int32
	LogP   []float32 // log-softmax over the whole vocabulary
}

// Device executes operations on tensors and weights that it made itself.
//
// Every operation is exact in the sense of the batch: a row's result is
// bit-identical whatever other rows share the call and however many threads
// run. Shapes that do not fit are a programmer's error and panic with a
// constant sentence before any work. Outputs must not overlap inputs unless
// an operation says that it works in place.
type Device interface {
	// Name says what the device is, for reports.
	Name() string

	// Alloc returns a tensor with undefined contents, Free takes it back for
	// reuse (none is ignored). A freed tensor, or a view of it, must not be
	// used again.
	Alloc(rows, cols int) Tensor
	Free(ts ...Tensor)
	// Upload and Download move values between host and device.
	Upload(dst Tensor, src []float32)
	Download(dst []float32, src Tensor)
	Zero(t Tensor)
	Copy(dst, src Tensor)

	// Pack lays out a checkpoint matrix for products, as dt (F32, BF16 or I8).
	// It reports values that are not finite as an error.
	Pack(m Matrix, dt dtype.DType) (Weight, error)
	// PackTensor packs the values of a tensor as F32 (a trainable matrix).
	PackTensor(t Tensor) Weight
	// Repack gives a Weight made by PackTensor new values of the same shape.
	Repack(w Weight, t Tensor)
	// Lookup makes a table of a checkpoint matrix.
	Lookup(m Matrix) (Table, error)

	// MatMul: y [T,N] = x [T,K]·Wᵀ + bias [1,N] (bias may be none); with
	// accumulate the product is added to y. With a BF16 weight x is rounded
	// to BF16 on the way in; sums are float32. An I8 weight has integers in
	// ±127 and a scale for each output; each row of x is quantised likewise
	// (the largest magnitude becomes 127, ties to even) and sums are integers.
	MatMul(y, x Tensor, w Weight, bias Tensor, accumulate bool)
	// MatMulT: dx [T,K] = dy [T,N]·W, or dx += with accumulate. With a BF16 or
	// I8 weight dy, times the scales of the latter, is rounded to BF16.
	MatMulT(dx, dy Tensor, w Weight, accumulate bool)
	// GradWeight: dw [N,K] += dy [T,N]ᵀ·x [T,K].
	GradWeight(dw, dy, x Tensor)

	// Embed: y [T,D] = scale·table[ids]; with round each product is rounded
	// to BF16, as a BF16 reference computes it.
	Embed(y Tensor, t Table, ids []int32, scale float32, round bool)
	// AddRows: y [T,D] += table[rows] (learned or sinusoidal positions).
	AddRows(y, table Tensor, rows []int32)

	// RMSNorm: y = x/rms(x)·w, or ·(1+w) with plusOne; w [1,D]. y may be x.
	RMSNorm(y, x, w Tensor, eps float32, plusOne bool)
	// RMSNormBackward: dx = ∂/∂x, or dx += with accumulate; dx may be dy.
	RMSNormBackward(dx, dy, x, w Tensor, eps float32, plusOne, accumulate bool)
	// LayerNorm: y = (x-mean)/√(var+eps)·w + b; biased variance.
	LayerNorm(y, x, w, b Tensor, eps float32)
	LayerNormBackward(dx, dy, x, w Tensor, eps float32, accumulate bool)

	// Rotate turns x [T,Heads·HeadDim] in place; inverse by minus the angle,
	// which is the backward pass.
	Rotate(x Tensor, positions []int32, r Rotary, inverse bool)
	// SplitHeads: q, k, v [T,H·Dh] from rows laid out per head as q|k|v
	// (GPT-NeoX); JoinHeads is its inverse and its backward pass.
	SplitHeads(q, k, v, qkv Tensor, heads int)
	JoinHeads(qkv, q, k, v Tensor, heads int)

	// Attend: out [T,H·Dh] from q [T,H·Dh] and the rows of k, v [R,G·Dh]
	// that the layout lists. lse [T,H], if not none, receives the log-sum-exp
	// of each row's masked scores for AttendBackward. Scores are never stored.
	Attend(out, lse, q, k, v Tensor, a Attention, l *Layout)
	// AttendBackward writes dq, dk, dv. Every row of k must belong to one
	// sequence at most (training layouts); rows that none lists get zero.
	AttendBackward(dq, dk, dv, dout, out, lse, q, k, v Tensor, a Attention, l *Layout)

	// Activate: y = act(x); y may be x.
	Activate(y, x Tensor, act Activation)
	// ActivateBackward: dx = dy·act'(x); dx may be dy.
	ActivateBackward(dx, dy, x Tensor, act Activation)
	// Gate: y = act(gate)·up; y may be gate.
	Gate(y, gate, up Tensor, act Activation)
	// GateBackward: dgate and dup of Gate; dgate may be dy.
	GateBackward(dgate, dup, dy, gate, up Tensor, act Activation)

	// Add: y += x. Scale: x *= a.
	Add(y, x Tensor)
	Scale(x Tensor, a float32)
	// Softcap: x = c·tanh(x/c), in place.
	Softcap(x Tensor, c float32)
	// Dropout: y = x with values dropped at the given rate and the others
	// scaled by 1/(1-rate). The mask is a function of seed, the row's number
	// in rows and the column alone, so the backward pass calls it again.
	Dropout(y, x Tensor, rate float32, seed uint64, rows []uint64)

	// Gather: y[i] = x[rows[i]]. Scatter: y[rows[i]] = x[i];
	// rows of Scatter must be distinct.
	Gather(y, x Tensor, rows []int32)
	Scatter(y, x Tensor, rows []int32)

	// CrossEntropy writes, for each row of h [T,D], nll[i] = -log
	// softmax(cap(h·Wᵀ))[targets[i]] and, if dh is not none, dh = scale·∂nll/∂h.
	// softcap 0: none. Logits exist only in chunks of rows.
	CrossEntropy(nll []float32, dh, h Tensor, w Weight, targets []int32, softcap, scale float32)
	// LogProbs writes logp[i] of targets[i] and whether it is the row's most
	// likely token (the lowest id among equals).
	LogProbs(logp []float32, greedy []bool, h Tensor, w Weight, targets []int32, softcap float32)
	// TopK returns the k most likely tokens of each row. banned[i] (nil: none)
	// lists tokens of row i that must not be returned; they stay in the sum.
	TopK(h Tensor, w Weight, k int, softcap float32, banned [][]int32) []Candidates

	// SumSquares returns Σx², summed in float64 in a fixed order.
	SumSquares(x Tensor) float64
	// Step updates p, m, v [same shape] by the gradient g.
	Step(p, g, m, v Tensor, o AdamW)
}
