//go:build cuda && linux

package cuda

// Flags of a product: what is done with its result. Without OutF32 y is bfloat16.
const (
	OutF32     = 1
	Accumulate = 2 // y += …; with OutF32 only
)

// Families of products, by the type of the operands and by how they are stored. All kernels of a family
// give the same bits. Sums are float32.
const (
	ProductBF16  = "bf16_tn"    // y [T,N] = x [T,K]·Wᵀ of bfloat16, W [N,K]
	ProductBF16T = "bf16_nn"    // y [T,N] = x [T,K]·W of bfloat16, W [K,N]; float32 results
	ProductF32   = "f32_tn"     // y [T,N] = x [T,K]·Wᵀ of float32, W [N,K]
	ProductF32T  = "f32_nn"     // y [T,N] = x [T,K]·W of float32, W [K,N]
	ProductGrad  = "f32_grad"   // y [T,N] = xᵀ·W of float32, x [K,T], W [K,N]
	ProductGroup = "bf16_group" // up to three products of ProductBF16 with one x, with its bits
	ProductI8    = "i8_tn"      // y [T,N] = x [T,K]·Wᵀ of 8-bit integers with scales, W [N,K]
)

// Product is a kernel of one family.
type Product struct{ *Function }

// Products lists the kernels of a family that this GPU can run, by name.
func (k *Kernels) Products(family string) []Product {
	var all []Product
	for _, name := range k.Names() {
		if f := k.Function(name); f.Family == family {
			all = append(all, Product{f})
		}
	}
	return all
}

// Operands are a product's matrices: addresses, sizes, and the values from one row to the next. y is
// aligned to 16 bytes. Bias, [N] float32, may be 0.
//
// bfloat16 x and W are aligned to 16 bytes, and their row lengths are multiples of 8. So is K of
// ProductBF16; x of ProductBF16T has zeros from K to the next multiple of 8.
type Operands struct {
	Y, X, W, Bias Pointer
	T, N, K       int
	Ldx, Ldw, Ldy int
	Flags         int
	// Chunk and Parts are for ProductGrad: the k of each of Parts chunks give a y of their own, one
	// behind the other.
	Chunk, Parts int
	// The scales of ProductI8, and how many a row has. K is a multiple of 64, the length of the rows.
	XScales, WScales Pointer
	Ldxs, Ldws       int
}

// Member is one product of a group: its results, its weights, and its bias or 0.
type Member struct {
	Y, W, Bias  Pointer
	N, Ldw, Ldy int
}

// LaunchGroup records the products of a group, by a kernel of ProductGroup. Of o it takes x and the flags.
func (p Product) LaunchGroup(s *Stream, o Operands, members [3]Member) {
	arguments := []Argument{Argument(o.X), Int(o.T), Int(o.K), Int(o.Ldx), Int(o.Flags)}
	blocks := 0
	for _, m := range members {
		blocks += (m.N + p.Outputs - 1) / p.Outputs
		arguments = append(arguments, Argument(m.Y), Argument(m.W), Argument(m.Bias), Int(m.N), Int(m.Ldw), Int(m.Ldy))
	}
	s.Launch(p.Function, blocks, (o.T+p.Tokens-1)/p.Tokens, arguments...)
}

// Tiles returns into how many blocks the product's result is divided.
func (p Product) Tiles(o Operands) int {
	return (o.N + p.Outputs - 1) / p.Outputs * ((o.T + p.Tokens - 1) / p.Tokens)
}

// Launch records the product.
func (p Product) Launch(s *Stream, o Operands) {
	outputs, tokens := (o.N+p.Outputs-1)/p.Outputs, (o.T+p.Tokens-1)/p.Tokens
	if !p.Small { // these order their tiles themselves
		outputs, tokens = outputs*tokens, min(tokens, 1)
	}
	switch {
	case outputs == 0 || tokens == 0:
	case p.Maps:
		maps := [2]tensorMap{{o.W, o.N, o.K, o.Ldw, p.Outputs}, {o.X, o.T, o.K, o.Ldx, p.Tokens}}
		if p.Family == ProductBF16T {
			maps[0] = tensorMap{o.W, o.K, o.N, o.Ldw, mapValues}
		}
		s.launch(p.Function, outputs, tokens, &maps, []Argument{Argument(o.Y), Argument(o.Bias), Int(o.T), Int(o.N), Int(o.K),
			Int(o.Ldy), Int(o.Flags)})
	case p.Family == ProductI8:
		s.Launch(p.Function, outputs, tokens, Argument(o.Y), Argument(o.X), Argument(o.XScales), Argument(o.W), Argument(o.WScales),
			Argument(o.Bias), Int(o.T), Int(o.N), Int(o.K/64), Int(o.Ldxs), Int(o.Ldws), Int(o.Ldy), Int(o.Flags))
	default:
		arguments := []Argument{Argument(o.Y), Argument(o.X), Argument(o.W), Argument(o.Bias), Int(o.T), Int(o.N), Int(o.K),
			Int(o.Ldx), Int(o.Ldw), Int(o.Ldy), Int(o.Flags)}
		if p.Family == ProductGrad {
			tokens, arguments = o.Parts, append(arguments, Int(o.Chunk))
		}
		s.Launch(p.Function, outputs, tokens, arguments...)
	}
}
