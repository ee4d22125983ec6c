package lowrank

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func random(n, k int) *mat.Dense {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	m := mat.NewDense(n, k, nil)
	m.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, m)
	return m
}

// near compares matrices.
func near(t *testing.T, what string, got, want mat.Matrix) {
	t.Helper()
	var d mat.Dense
	d.Sub(got, want)
	if diff := mat.Norm(&d, 2) / max(mat.Norm(want, 2), 1); !(diff < 1e-12) {
		t.Errorf("%s: differs by %g of its norm", what, diff)
	}
}

// product returns the product of matrices.
func product(ms ...mat.Matrix) *mat.Dense {
	out := mat.DenseCopyOf(ms[0])
	for _, m := range ms[1:] {
		var next mat.Dense
		next.Mul(out, m)
		out = &next
	}
	return out
}

func identity(n int) mat.Matrix {
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	return mat.NewDiagDense(n, ones)
}

// TestOrthogonal: q has orthonormal columns, r is upper triangular, and their product is the
// matrix, for tall, square and wide ones.
func TestOrthogonal(t *testing.T) {
	for _, shape := range [][2]int{{9, 4}, {5, 5}, {4, 9}, {200, 70}} {
		w := random(shape[0], shape[1])
		q, r := Orthogonal(w)
		near(t, "q·r", product(q, r), w)
		near(t, "qᵀ·q", product(q.T(), q), identity(min(shape[0], shape[1])))
		for i := range min(shape[0], shape[1]) {
			for j := range i {
				if r.At(i, j) != 0 {
					t.Fatalf("r is not triangular at %d, %d", i, j)
				}
			}
		}
	}
}

// TestDecompose: of a matrix of rank 3, the first three values and vectors are the matrix, and
// the vectors are orthonormal; DecomposeProduct finds the same without the product.
func TestDecompose(t *testing.T) {
	b, a := random(12, 3), random(3, 30)
	w := product(b, a)
	s, err := Decompose(w, 3)
	if err != nil {
		t.Fatal(err)
	}
	of, err := DecomposeProduct(b, a, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*SVD{s, of} {
		near(t, "U·S·V", product(s.Scaled(), s.V), w)
		near(t, "Uᵀ·U", product(s.U.T(), s.U), identity(3))
		near(t, "V·Vᵀ", product(s.V, s.V.T()), identity(3))
		x, y := s.Balanced()
		near(t, "balanced", product(x, y), w)
	}
	for i, v := range s.S {
		if math.Abs(v-of.S[i]) > 1e-12*s.S[0] {
			t.Errorf("value %d is %g, of the product %g", i, v, of.S[i])
		}
	}
	// More columns than the product has rows.
	if of, err = DecomposeProduct(random(4, 9), random(9, 5), 4); err != nil {
		t.Fatal(err)
	}
	near(t, "wide factors", product(of.Scaled(), of.V), product(random(4, 9), random(9, 5)))
}

// TestRefuses: a rank that the matrix cannot have, and values without a decomposition.
func TestRefuses(t *testing.T) {
	if _, err := Decompose(random(3, 5), 4); err == nil {
		t.Error("rank 4 of a matrix of shape [3 5]")
	}
	w := random(3, 5)
	w.Set(1, 1, math.NaN())
	if _, err := Decompose(w, 2); err == nil {
		t.Error("a matrix with NaN")
	}
}
