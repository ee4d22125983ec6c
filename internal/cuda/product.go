//go:build cuda && linux

package cuda

// Flags of a product: what is done with its result. Without OutF32 y is bfloat16.
const (
	OutF32     = 1
	Accumulate = 2 // y += …; with OutF32 only
)

// Product is a kernel for y [T,N] = x [T,K]·Wᵀ + bias, with bfloat16 x and W [N,K] and float32 sums.
// All of them give the same bits.
type Product struct{ *Function }

// Products lists the products that this GPU can run, by name.
func (k *Kernels) Products() []Product {
	var all []Product
	for _, name := range k.Names() {
		if f := k.Function(name); f.Outputs > 0 {
			all = append(all, Product{f})
		}
	}
	return all
}

// Operands are a product's matrices: addresses, sizes, and the values from one row to the next. x
// and w are aligned to 16 bytes, and their K, Ldx and Ldw are multiples of 8; y is aligned to 16
// bytes. Bias, [N] float32, may be 0.
type Operands struct {
	Y, X, W, Bias Pointer
	T, N, K       int
	Ldx, Ldw, Ldy int
	Flags         int
}

// Launch records the product.
func (p Product) Launch(s *Stream, o Operands) {
	outputs, tokens := (o.N+p.Outputs-1)/p.Outputs, (o.T+p.Tokens-1)/p.Tokens
	if !p.Small { // these order their tiles themselves
		outputs, tokens = outputs*tokens, 1
	}
	if outputs == 0 || tokens == 0 {
		return
	}
	if p.Maps {
		maps := [2]tensorMap{{o.W, o.N, o.K, o.Ldw, p.Outputs}, {o.X, o.T, o.K, o.Ldx, p.Tokens}}
		s.launch(p.Function, outputs, tokens, &maps, []Argument{Argument(o.Y), Argument(o.Bias), Int(o.T), Int(o.N), Int(o.K),
			Int(o.Ldy), Int(o.Flags)})
		return
	}
	s.Launch(p.Function, outputs, tokens, Argument(o.Y), Argument(o.X), Argument(o.W), Argument(o.Bias), Int(o.T), Int(o.N), Int(o.K),
		Int(o.Ldx), Int(o.Ldw), Int(o.Ldy), Int(o.Flags))
}
