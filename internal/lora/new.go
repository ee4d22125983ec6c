package lora

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"barka/internal/tensor"
)

// Initialisations of a new pair, the values of init_lora_weights. PEFT's default, true, is a
// uniform A in ±1/√K and a B of zeros.
const (
	// Gaussian is a normal A with a standard deviation of 1/r, and a B of zeros.
	Gaussian = "gaussian"
	// PiSSA takes the r largest singular values and vectors of W/s (Meng et al., "PiSSA:
	// Principal Singular Values and Singular Vectors Adaptation", 2024).
	PiSSA = "pissa"
	// PiSSAIterated, followed by a number of iterations, finds them by subspace iteration.
	PiSSAIterated = "pissa_niter_"
	// OLoRA takes the first r columns of Q and rows of R of W = Q·R (Büyükakyüz, "OLoRA:
	// Orthonormal Low-Rank Adaptation", 2024).
	OLoRA = "olora"
)

// CheckInit returns an error if there is no initialisation of a name; "" is PEFT's default.
func CheckInit(name string) error {
	if name == "" || name == Gaussian || name == PiSSA || name == OLoRA {
		return nil
	}
	if n, ok := iterations(name); ok && n > 0 {
		return nil
	}
	return fmt.Errorf("init is %q, expected %s, %s, %sN with a number of iterations, %s, or nothing for PEFT's default", name, Gaussian,
		PiSSA, PiSSAIterated, OLoRA)
}

// FromBase reports whether an initialisation takes its values from the base weights.
func FromBase(name string) bool { return name != "" && name != Gaussian }

// iterations returns the number in the name of PiSSAIterated.
func iterations(name string) (int, bool) {
	text, ok := strings.CutPrefix(name, PiSSAIterated)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// Random is the source of the values of new pairs.
type Random interface {
	Float64() float64
	NormFloat64() float64
}

// NewPair makes an adapter of a layer with weights w that changes nothing at first. A and B
// are initialised as init says, a name or anything else for PEFT's default; random is the
// source of what is drawn.
func NewPair(dev tensor.Device, module string, w tensor.Weight, rank int, scale float32, init any, random Random) (*Pair, error) {
	n, k := w.Dims()
	p := &Pair{Module: module, Scale: scale, A: dev.Alloc(rank, k), B: dev.Alloc(n, rank)}
	name, _ := init.(string)
	if FromBase(name) {
		return p, p.initial(dev, w, name, random)
	}
	draw := func() float64 { return (2*random.Float64() - 1) / math.Sqrt(float64(k)) }
	if name == Gaussian {
		draw = func() float64 { return random.NormFloat64() / float64(rank) }
	}
	values := make([]float32, rank*k)
	for i := range values {
		values[i] = float32(draw())
	}
	dev.Upload(p.A, values)
	dev.Zero(p.B)
	return p, nil
}
