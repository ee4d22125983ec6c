package model

import (
	"fmt"
	"sync/atomic"

	"barka/internal/dtype"
	"barka/internal/parallel"
	"barka/internal/tensor"
)

// checkFinite returns an error that names the first infinity or NaN in a large matrix.
func checkFinite(m tensor.Matrix) error {
	_, size := m.DType.Block()
	block := 1 << 20 / size * size // bytes
	pool := parallel.New(0)
	defer pool.Close()
	var bad atomic.Bool
	pool.For((len(m.Bytes)+block-1)/block, 1, func(_, lo, hi int) {
		if !bad.Load() && dtype.NotFinite(m.DType, m.Bytes[lo*block:min(hi*block, len(m.Bytes))]) >= 0 {
			bad.Store(true)
		}
	})
	if !bad.Load() {
		return nil
	}
	return notFinite(m)
}

// finiteValues returns the values of a small matrix, or an error that names the first
// infinity or NaN.
func finiteValues(m tensor.Matrix) ([]float32, error) {
	values, err := dtype.Float32s(m.DType, m.Bytes)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if v-v != 0 {
			return nil, notFinite(m)
		}
	}
	return values, nil
}

// notFinite returns the error of a matrix that is not finite as float32.
func notFinite(m tensor.Matrix) error {
	at := dtype.NotFinite(m.DType, m.Bytes)
	if at < 0 {
		return fmt.Errorf("a value of type %s is too large for a float32", m.DType)
	}
	values, size := m.DType.Block()
	v := make([]float32, values)
	dtype.Widen(v, m.DType, m.Bytes[at/values*size:][:size])
	if m.Rows == 1 {
		return fmt.Errorf("the value at position %d is %g, expected a finite number", at, v[at%values])
	}
	return fmt.Errorf("the value at row %d, column %d is %g, expected a finite number", at/m.Cols, at%m.Cols, v[at%values])
}
