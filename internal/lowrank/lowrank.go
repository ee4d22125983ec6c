// Package lowrank has truncated factorisations of dense matrices, in float64 with gonum.
// Matrices are row-major.
package lowrank

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// errFactorize is the error of an iteration that did not converge, as with values that are
// infinite or NaN.
var errFactorize = errors.New("the singular value decomposition did not converge; are all values finite?")

// SVD is the beginning of a singular value decomposition: W ≈ U·diag(S)·V with U [N,r],
// S [r] in falling order and V [r,K]. The sign of each pair of vectors is arbitrary.
type SVD struct {
	U *mat.Dense // [N,r]
	S []float64  // [r]
	V *mat.Dense // [r,K]
}

// Decompose returns the r largest singular values of w [N,K] and their vectors. r is at most
// the smaller of N and K.
func Decompose(w *mat.Dense, r int) (*SVD, error) {
	n, k := w.Dims()
	if r > min(n, k) {
		return nil, tooLarge(r, n, k)
	}
	var svd mat.SVD
	if !svd.Factorize(w, mat.SVDThin) {
		return nil, errFactorize
	}
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	return &SVD{U: mat.DenseCopyOf(u.Slice(0, n, 0, r)), S: svd.Values(nil)[:r], V: mat.DenseCopyOf(v.Slice(0, k, 0, r).T())}, nil
}

// DecomposeProduct is Decompose of b·a for b [N,R] and a [R,K], without computing the product:
// with b = Qb·Rb and aᵀ = Qa·Ra, its singular values are those of Rb·Raᵀ, which has at most R rows
// and columns.
func DecomposeProduct(b, a *mat.Dense, r int) (*SVD, error) {
	qb, rb := Orthogonal(b)
	qa, ra := Orthogonal(mat.DenseCopyOf(a.T()))
	var core mat.Dense
	core.Mul(rb, ra.T())
	s, err := Decompose(&core, r)
	if err != nil {
		return nil, err
	}
	var u, v mat.Dense
	u.Mul(qb, s.U)
	v.Mul(s.V, qa.T())
	return &SVD{U: &u, S: s.S, V: &v}, nil
}

// Orthogonal returns the thin QR decomposition of w [N,K]: w = q·r with q [N,m] of orthonormal
// columns and r [m,K] upper triangular, where m is the smaller of N and K.
func Orthogonal(w *mat.Dense) (q, r *mat.Dense) {
	n, k := w.Dims()
	m := min(n, k)
	f := mat.DenseCopyOf(w)
	tau, work := make([]float64, m), make([]float64, 1)
	lapack64.Geqrf(f.RawMatrix(), tau, work, -1)
	work = make([]float64, int(work[0]))
	lapack64.Geqrf(f.RawMatrix(), tau, work, len(work))
	r = mat.NewDense(m, k, nil)
	for i := range m {
		for j := i; j < k; j++ {
			r.Set(i, j, f.At(i, j))
		}
	}
	q = mat.DenseCopyOf(f.Slice(0, n, 0, m))
	lapack64.Orgqr(q.RawMatrix(), tau, work, -1)
	work = make([]float64, int(work[0]))
	lapack64.Orgqr(q.RawMatrix(), tau, work, len(work))
	return q, r
}

// Balanced returns B = U·√S [N,r] and A = √S·V [r,K].
func (s *SVD) Balanced() (b, a *mat.Dense) {
	b, a = mat.DenseCopyOf(s.U), mat.DenseCopyOf(s.V)
	b.Apply(func(_, j int, v float64) float64 { return v * math.Sqrt(s.S[j]) }, b)
	a.Apply(func(i, _ int, v float64) float64 { return v * math.Sqrt(s.S[i]) }, a)
	return b, a
}

// Scaled returns U·S [N,r].
func (s *SVD) Scaled() *mat.Dense {
	b := mat.DenseCopyOf(s.U)
	b.Apply(func(_, j int, v float64) float64 { return v * s.S[j] }, b)
	return b
}

// tooLarge is the error of a rank above the size of a matrix.
func tooLarge(r, n, k int) error {
	return fmt.Errorf("rank %d is larger than a matrix of shape [%d %d] has; take at most %d", r, n, k, min(n, k))
}

// From returns float32 values [n,k] as a matrix.
func From(n, k int, values []float32) *mat.Dense {
	data := make([]float64, len(values))
	for i, v := range values {
		data[i] = float64(v)
	}
	return mat.NewDense(n, k, data)
}

// Values returns a matrix as float32 values.
func Values(m *mat.Dense) []float32 {
	n, k := m.Dims()
	out := make([]float32, 0, n*k)
	for i := range n {
		for _, v := range m.RawRowView(i) {
			out = append(out, float32(v))
		}
	}
	return out
}
