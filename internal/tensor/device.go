package tensor

import "barka/internal/dtype"

// Attention is the shape and the arithmetic of one attention: scores = Scale·(q·k); with
// Softcap c > 0, c·tanh(scores/c); then the mask, the softmax, and the weighted sum of
// values. Query head h reads key/value head h/(Heads/KVHeads).
type Attention struct {
	Heads, KVHeads, HeadDim int
	Scale                   float32
	Softcap                 float32 // 0 for none
	Window                  int     // 0 for none; else the query at position p sees key j iff j > p-Window
	Causal                  bool    // the query at position p sees key j iff j ≤ p
}

// Rotary is a rotary position embedding in the half-split layout. In each head of HeadDim
// values the first 2·len(Freqs) rotate: the pair of values i and i+len(Freqs) by the angle
// position·Freqs[i].
type Rotary struct {
	Heads, HeadDim int
	Freqs          []float32
	// Scale multiplies cosine and sine. Plain rotary embeddings have 1.
	Scale float32
}

// RMSNorm is a root-mean-square normalisation: x/rms(x)·W, or x/rms(x)·(1+W) with PlusOne. W is
// [1,D].
type RMSNorm struct {
	W       Tensor
	Eps     float32
	PlusOne bool
}

// Activation names an activation function.
type Activation int

const (
	GELUTanh Activation = iota // 0.5x(1+tanh(√(2/π)(x+0.044715x³)))
	GELUErf                    // 0.5x(1+erf(x/√2))
	SiLU                       // x·sigmoid(x)
	ReLU
)

// AdamW holds the scalars of one optimiser step t, in PyTorch's order of operations.
// Correction1 is 1-β1ᵗ, Correction2 1-β2ᵗ.
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	Correction1, Correction2           float32
}

// Param is a trained tensor: its values, gradient, and first and second moments, all of the
// same shape. Packed, if not nil, is what PackTensor made of the values.
type Param struct {
	Value, Grad, M, V Tensor
	Packed            Weight
}

// Adapter is a low-rank addition to a weight W [N,K]: y = x·Wᵀ + Scale·(x·Aᵀ)·Bᵀ. PackTensor made
// A [r,K] and B [N,r].
type Adapter struct {
	A, B  Weight
	Scale float32
}

// Product is y [T,N] = x [T,K]·Wᵀ + Bias, one of several with the same x.
type Product struct {
	Y    Tensor
	W    Weight
	Bias Tensor // [1,N] or none
}

// Products are up to three products with the same x: the first ones with a W.
type Products [3]Product

// Scores are the results of LogProbs, of each row.
type Scores struct {
	// LogP is the log-probability of the target.
	LogP []float32
	// Greedy reports whether the target is the row's most likely token: the lowest id among
	// equals.
	Greedy []bool
	// Ranks is the place of the target in the order of TopK, from 1: one more than the number
	// of tokens with a larger logit, or an equal logit and a lower id. It is nil if no ranks
	// were asked for.
	Ranks []int32
}

// Candidates are the k best tokens of one row, the best first. Among equal values the
// lower token comes first.
type Candidates struct {
	Tokens []int32
	LogP   []float32 // log-softmax over the whole vocabulary
}

// Extra holds tokens that the rows Lo ≤ i < Hi of a TopK may have besides the head's: the
// rows of W. They are numbered after the head's tokens.
type Extra struct {
	W      Weight
	Lo, Hi int
}

// AllocOperand returns a tensor with undefined contents for an operand or a result of products
// with w.
func AllocOperand(dev Device, rows, cols int, w Weight) Tensor {
	return dev.AllocAs(rows, cols, dev.OperandType(w))
}

// Device executes operations on tensors and weights that it made.
//
// Every operation is batch-invariant: the bits of a row's result do not depend on the
// other rows of the call or on the number of threads. Shapes that do not fit are a
// programmer's error: the operation panics before it does any work. Outputs must not
// overlap inputs unless the operation's comment allows it.
//
// A device may compute after an operation has returned. It reads lists and other values in
// host memory before it returns, so that callers may reuse them at once.
//
// Operands are F32 unless the device's OperandType has returned another type. An operation panics if
// it does not take an operand of its type.
//
// A device that cannot go on panics with a *Failure, in any operation and in Pending.Get.
type Device interface {
	// Name describes the device, for reports.
	Name() string

	// Alloc returns an F32 tensor with undefined contents.
	Alloc(rows, cols int) Tensor
	// AllocAs returns a tensor of a type that OperandType has returned, with undefined contents.
	AllocAs(rows, cols int, t Type) Tensor
	// OperandType returns the type in which the device stores the operands of products with w, and what
	// attention and activations compute from them. Other tensors are F32: the residual stream, its
	// gradient, statistics, sums of several products, losses, and all that is trained.
	OperandType(w Weight) Type
	// Free takes tensors back for reuse and ignores none. A freed tensor, or a view of
	// it, must not be used again.
	Free(ts ...Tensor)
	// Grow returns t, or at first none, with more rows: [rows, cols] of the given type, which does not
	// change. The first `used` rows keep their values. t must not be used again. A row must not be used before Back has given it memory. Free
	// takes the result. On a device with memory of its own it takes addresses alone, and nothing moves.
	Grow(t Tensor, used, rows, cols int, typ Type) Tensor
	// Back gives memory to the first rows of a tensor that Grow returned.
	Back(t Tensor, rows int)
	// Upload and Download move values between host and device.
	Upload(dst Tensor, src []float32)
	Download(dst []float32, src Tensor)
	Zero(t Tensor)
	// Copy sets dst to src, which may be of another type.
	Copy(dst, src Tensor)
	// Prepare brings the lists of a pass to the device, all with one copy. They must not
	// change while the result is in use. Free takes its Memory.
	Prepare(b Batch) Batch

	// Replay brings b to the device, calls f with it, and returns f's result, a tensor that is valid
	// until the next call of Replay and that the caller frees. The operations of f must be the same
	// for the same key, whose type is comparable, and the same shapes of b: they read and write b, what
	// they allocate, weights, and tensors with the same addresses. A device may record them and run
	// them again without f, or call f twice.
	Replay(key any, b Batch, f func(Batch) Tensor) Tensor

	// Pack packs a checkpoint matrix for products, as dt (F32, BF16 or I8). An infinity
	// or NaN in it is an error.
	Pack(m Matrix, dt dtype.DType) (Weight, error)
	// PackTensor packs the values of a tensor, a trainable matrix, as F32.
	PackTensor(t Tensor) Weight
	// Repack replaces the values of a Weight that PackTensor made. The shape stays.
	Repack(w Weight, t Tensor)
	// Select packs some rows of W, in the given order, as a weight of the same type. Products
	// with it have the bits of those with W.
	Select(w Weight, rows []int32) Weight
	// Screen returns W with a copy of it as I8, for TopK. A weight of type I8 is its own screen, and so is
	// any other on a device to which the copy is no help.
	Screen(w Weight) Weight
	// Lookup makes a table from a checkpoint matrix.
	Lookup(m Matrix) (Table, error)

	// MatMul sets y [T,N] = x [T,K]·Wᵀ + bias [1,N]; bias may be none. With accumulate
	// the product is added to y. With a BF16 weight x is rounded to BF16, and sums are
	// float32. With an I8 weight the rows of x and W are first multiplied by one orthogonal
	// matrix: normalised Hadamard blocks of 512, and for the rest of K of decreasing powers
	// of two. Then each 64 values of a row are integers in ±127 (the largest magnitude
	// becomes 127, ties go to even) times a scale, which W rounds up to BF16. Sums over 64
	// are integers, and sums of those float32.
	MatMul(y, x Tensor, w Weight, bias Tensor, accumulate bool)
	// MatMuls is MatMul for each product, to the same bits.
	MatMuls(x Tensor, ps Products)
	// MatMulT sets dx [T,K] = dy [T,N]·W, or adds it with accumulate. With a BF16 weight
	// dy is rounded to BF16. With an I8 weight dy and the rotated W are, and dx is rotated
	// back.
	MatMulT(dx, dy Tensor, w Weight, accumulate bool)
	// Linear sets u [T,r] = Scale·in·Aᵀ and y [T,N] = x·Wᵀ + bias + u·Bᵀ. in [T,K] is x, or what dropout
	// has left of it. With a BF16 weight a device may round in, A, u and B to BF16 for these products. If y
	// is none, u alone is set, to the same values.
	Linear(y, u, x, in Tensor, w Weight, bias Tensor, a Adapter)
	// LinearBackward sets v [T,r] = Scale·dy·B and dx [T,K] = dy·W + v·A, or adds dx with accumulate. A
	// device may round as in Linear.
	LinearBackward(dx, v, dy Tensor, w Weight, a Adapter, accumulate bool)
	// GradWeight adds dy [T,N]ᵀ·x [T,K] to dw [N,K].
	GradWeight(dw, dy, x Tensor)

	// Embed sets y [T,D] = scale·table[ids]. With round each product is rounded to BF16,
	// as a BF16 reference computes it.
	Embed(y Tensor, t Table, ids Ints, scale float32, round bool)
	// AddRows adds table[rows], learned or sinusoidal positions, to y [T,D].
	AddRows(y, table Tensor, rows Ints)

	// RMSNorm sets y = x/rms(x)·w, or x/rms(x)·(1+w) with plusOne; w is [1,D]. y may
	// be x.
	RMSNorm(y, x, w Tensor, eps float32, plusOne bool)
	// RMSNormBackward sets dx to the gradient of x, or adds it with accumulate. dx may be
	// dy.
	RMSNormBackward(dx, dy, x, w Tensor, eps float32, plusOne, accumulate bool)
	// AddRMSNorm sets sum = x + d and y = next(sum), the residual stream after a layer and the
	// input of the next one. With the weights of post it adds post(d) instead of d. sum may be
	// x or d.
	AddRMSNorm(y, sum, x, d Tensor, post, next RMSNorm)
	// LayerNorm sets y = (x-mean)/√(var+eps)·w + b, with the biased variance.
	LayerNorm(y, x, w, b Tensor, eps float32)
	// LayerNormBackward sets dx to the gradient of x, or adds it with accumulate. dx may
	// be dy.
	LayerNormBackward(dx, dy, x, w Tensor, eps float32, accumulate bool)

	// Rotate rotates x [T,Heads·HeadDim] in place by the angles of its positions. With
	// inverse it rotates by minus the angles, which is the backward pass.
	Rotate(x Tensor, positions Ints, r Rotary, inverse bool)
	// SplitHeads sets q, k, v [T,H·Dh] from rows that hold q|k|v for each head, as
	// GPT-NeoX has them.
	SplitHeads(q, k, v, qkv Tensor, heads int)
	// JoinHeads is the inverse of SplitHeads and its backward pass.
	JoinHeads(qkv, q, k, v Tensor, heads int)

	// Attend sets out [T,H·Dh] from q [T,H·Dh] and from the rows of k, v [R,G·Dh] that
	// the layout lists. lse [T,H], if not none, receives the log-sum-exp of each row's
	// masked scores, for AttendBackward. Scores are never stored.
	Attend(out, lse, q, k, v Tensor, a Attention, l Keys)
	// AttendBackward sets dq, dk and dv. A row of k may belong to one sequence only, as in
	// training. Rows that no sequence lists get zero.
	AttendBackward(dq, dk, dv, dout, out, lse, q, k, v Tensor, a Attention, l Keys)

	// Activate sets y = act(x). y may be x.
	Activate(y, x Tensor, act Activation)
	// ActivateBackward sets dx = dy·act'(x). dx may be dy.
	ActivateBackward(dx, dy, x Tensor, act Activation)
	// Gate sets y = act(gate)·up. y may be gate.
	Gate(y, gate, up Tensor, act Activation)
	// GateBackward sets dgate and dup, the gradients of Gate. dgate may be dy.
	GateBackward(dgate, dup, dy, gate, up Tensor, act Activation)

	// ScaleColumns sets y[t,n] = x[t,n]·factor[n] + bias[n]; factor is [1,N], bias [1,N] or
	// none. y may be x.
	ScaleColumns(y, x, factor, bias Tensor)
	// ColumnDots adds Σ_t x[t,n]·y[t,n] to dots [1,N], summed in float64.
	ColumnDots(dots, x, y Tensor)
	// Unpack sets rows [n,K] to the rows of W [N,K] from a multiple of 128 on, as they are
	// packed.
	Unpack(rows Tensor, w Weight, from int)

	// Add adds x to y.
	Add(y, x Tensor)
	// Scale multiplies x by a.
	Scale(x Tensor, a float32)
	// Softcap sets x = c·tanh(x/c), in place.
	Softcap(x Tensor, c float32)
	// Dropout sets y = x with values dropped at the given rate and the others divided by
	// 1-rate. The mask depends only on the seed, the row's number in rows and the column,
	// so that the backward pass can compute it again.
	Dropout(y, x Tensor, rate float32, seed uint64, rows Numbers)

	// Gather sets y[i] = x[rows[i]].
	Gather(y, x Tensor, rows Ints)
	// Scatter sets y[rows[i]] = x[i]. The rows must be distinct.
	Scatter(y, x Tensor, rows Ints)

	// ScatterAdd sets y[rows[i]] += x[i], in the order of i. Rows may repeat.
	ScatterAdd(y, x Tensor, rows Ints)

	// Trains makes CrossEntropy add the gradient of w, which PackTensor made, to grad [N,K]
	// whenever it computes that of h.
	Trains(w Weight, grad Tensor)
	// CrossEntropy sets nll[i] = -log softmax(cap(h·Wᵀ))[targets[i]] for each row of
	// h [T,D]; nll is [T,1]. If dh is not none, it sets dh[i] = weights[i]·∂nll[i]/∂h[i];
	// weights is [T,1].
	// softcap is 0 for none. Logits exist only in chunks of rows.
	CrossEntropy(nll, dh, h Tensor, w Weight, targets Ints, weights Tensor, softcap float32)
	// LogProbs scores the targets of the rows of h, with ranks if they are wanted.
	LogProbs(h Tensor, w Weight, targets Ints, softcap float32, ranks bool) Pending[Scores]
	// TopK returns the k most likely tokens of each row. banned[i] lists tokens that must
	// not be returned for row i; they stay in the softmax's sum. nil bans none. extra adds
	// tokens for some rows, to the softmax too; they have the head's type. With a head from
	// Screen, and without extra, the logits of the screen decide which tokens are looked at and
	// count for the others in the softmax's sum.
	TopK(h Tensor, w Weight, k int, softcap float32, banned [][]int32, extra []Extra) Pending[[]Candidates]

	// Dot returns Σ weights[i]·x[i] of x and weights [T,1], summed in float64 in order. If
	// weights is none, all are 1.
	Dot(x, weights Tensor) Value
	// SumSquares returns Σx² of all tensors, summed in float64 in a fixed order.
	SumSquares(ts ...Tensor) Value
	// Update takes a step of AdamW for all parameters, whose gradients it first multiplies by
	// scale. Then it sets the gradients to zero, and packs the new values.
	Update(ps []Param, scale float32, o AdamW)
}
