package model

import (
	"math"

	"barka/internal/badinput"
	"barka/internal/tensor"
)

// Bounds of what config.json may say: far above any model, and small enough
// that no product of two of them overflows.
const (
	maxWidth     = 1 << 24
	maxLayers    = 1 << 12
	maxPositions = math.MaxInt32
)

// CheckWidth refuses a width of anything, under its key in config.json, that
// is not positive or beyond any model's.
func CheckWidth(key string, n int) error { return checkSize(key, n, maxWidth) }

// CheckLayers does the same with a number of layers.
func CheckLayers(key string, n int) error { return checkSize(key, n, maxLayers) }

// CheckPositions does the same with a number of positions.
func CheckPositions(key string, n int) error { return checkSize(key, n, maxPositions) }

func checkSize(key string, n, most int) error {
	if n <= 0 {
		return badinput.Errorf("config.json: %s is %d, expected a positive number", key, n)
	}
	if n > most {
		return badinput.Errorf("config.json: %s is %d, expected at most %d", key, n, most)
	}
	return nil
}

// CheckHeads refuses numbers of query heads and of key/value heads and a head
// width that are absurd or do not go together.
func CheckHeads(heads, kvHeads, headDim int) error {
	for _, s := range []struct {
		key string
		n   int
	}{{"num_attention_heads", heads}, {"num_key_value_heads", kvHeads}, {"head_dim", headDim}} {
		if err := CheckWidth(s.key, s.n); err != nil {
			return err
		}
	}
	switch {
	case heads*headDim > maxWidth:
		return badinput.Errorf("config.json: %d attention heads of width %d are together wider than %d", heads, headDim, maxWidth)
	case heads%kvHeads != 0:
		return badinput.Errorf("config.json: %d attention heads cannot share %d key/value heads", heads, kvHeads)
	case headDim%2 != 0:
		return badinput.Errorf("config.json: head_dim %d is odd; rotary positions need an even width", headDim)
	}
	return nil
}

// CheckPositive refuses a number that is not positive, or not finite as a
// float32.
func CheckPositive(key string, v float64) error {
	if f := float32(v); !(f > 0) || f-f != 0 {
		return badinput.Errorf("config.json: %s is %g, expected a positive number", key, v)
	}
	return nil
}

// CheckSoftcap refuses a soft cap that is not positive; nil is none.
func CheckSoftcap(key string, v *float64) error {
	if v == nil {
		return nil
	}
	return CheckPositive(key, *v)
}

// CheckWindow refuses a sliding window that is not positive; nil is none.
func CheckWindow(window *int) error {
	if window == nil {
		return nil
	}
	return CheckPositions("sliding_window", *window)
}

// Activation reads an activation function's name in transformers, which
// config.json gives under key.
func Activation(key, name string) (tensor.Activation, error) {
	switch name {
	case "silu", "swish":
		return tensor.SiLU, nil
	case "gelu":
		return tensor.GELUErf, nil
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh":
		return tensor.GELUTanh, nil
	case "relu":
		return tensor.ReLU, nil
	}
	return 0, badinput.Errorf("config.json: %s %q is not supported; supported: silu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu", key, name)
}

// HeadWidth is head_dim, or the residual width over the number of heads where
// config.json leaves it out.
func HeadWidth(headDim, hidden, heads int) int {
	if headDim == 0 && heads > 0 && hidden%heads == 0 {
		return hidden / heads
	}
	return headDim
}

// The kinds of attention that layer_types may name.
const (
	FullAttention    = "full_attention"
	SlidingAttention = "sliding_attention"
)

// Sliding reports whether layer i attends to a window, by layer_types if there
// are any, else by its number.
func Sliding(types []string, i int, byNumber bool) bool {
	if len(types) > 0 {
		return types[i] == SlidingAttention
	}
	return byNumber
}

// CheckLayerTypes refuses layer_types, if there are any, that are not one of
// the known kinds for each layer.
func CheckLayerTypes(types []string, layers int) error {
	if len(types) > 0 && len(types) != layers {
		return badinput.Errorf("config.json: layer_types has %d entries for %d layers", len(types), layers)
	}
	for i, t := range types {
		if t != FullAttention && t != SlidingAttention {
			return badinput.Errorf("config.json: layer_types[%d] is %q, which is not supported; supported: %s, %s", i, t, FullAttention, SlidingAttention)
		}
	}
	return nil
}
