package model

import (
	"math"

	"barka/internal/badinput"
	"barka/internal/tensor"
)

// Bounds of the numbers in config.json: far above those of any model, and small enough that
// no product of two of them overflows.
const (
	maxWidth     = 1 << 24
	maxLayers    = 1 << 12
	maxPositions = math.MaxInt32
)

// CheckWidth returns an error if a width, given under key in config.json, is not positive or
// is larger than any model's.
func CheckWidth(key string, n int) error { return checkSize(key, n, maxWidth) }

// CheckLayers is CheckWidth for a number of layers.
func CheckLayers(key string, n int) error { return checkSize(key, n, maxLayers) }

// CheckPositions is CheckWidth for a number of positions.
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

// CheckHeads returns an error if the numbers of query heads and key/value heads and the head
// width are out of bounds or do not fit together.
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

// CheckPositive returns an error if a number is not positive, or not finite as a float32.
func CheckPositive(key string, v float64) error {
	if f := float32(v); !(f > 0) || f-f != 0 {
		return badinput.Errorf("config.json: %s is %g, expected a positive number", key, v)
	}
	return nil
}

// CheckSoftcap returns an error if a soft cap is not positive. nil means no cap.
func CheckSoftcap(key string, v *float64) error {
	if v == nil {
		return nil
	}
	return CheckPositive(key, *v)
}

// CheckWindow returns an error if a sliding window is not positive. nil means no window.
func CheckWindow(window *int) error {
	if window == nil {
		return nil
	}
	return CheckPositions("sliding_window", *window)
}

// Activation returns the activation function of a name in transformers, which config.json
// gives under key.
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
	return 0, badinput.Errorf("config.json: %s %q is not supported; supported: silu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu",
		key, name)
}

// HeadWidth returns head_dim. If config.json leaves it out (0), it is the residual width
// divided by the number of heads.
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

// Sliding reports whether layer i attends to a window: by its entry in layer_types, or, if
// there are none, byNumber.
func Sliding(types []string, i int, byNumber bool) bool {
	if len(types) > 0 {
		return types[i] == SlidingAttention
	}
	return byNumber
}

// CheckLayerTypes returns an error unless layer_types, if given, has a known kind for each
// layer.
func CheckLayerTypes(types []string, layers int) error {
	if len(types) > 0 && len(types) != layers {
		return badinput.Errorf("config.json: layer_types has %d entries for %d layers", len(types), layers)
	}
	for i, t := range types {
		if t != FullAttention && t != SlidingAttention {
			return badinput.Errorf("config.json: layer_types[%d] is %q, which is not supported; supported: %s, %s",
				i, t, FullAttention, SlidingAttention)
		}
	}
	return nil
}
