package model

import (
	"cmp"
	"math"

	"barka/internal/badinput"
)

// RopeConfig is the part of config.json that describes rotary positions (Su et al.,
// "RoFormer", 2021): the flat keys, and rope_parameters of transformers 5.
type RopeConfig struct {
	RopeTheta   float64      `json:"rope_theta"`
	RopeScaling *RopeScaling `json:"rope_scaling"`
	Parameters  *RopeScaling `json:"rope_parameters"`

	// Standard is the architecture's base, for files that give none; 0 means 10000.
	Standard float64 `json:"-"`

	thetaKey string // the key of RopeTheta; "" means rope_theta
}

// RopeScaling is rope_scaling or rope_parameters.
type RopeScaling struct {
	Type            string  `json:"rope_type"`
	OldType         string  `json:"type"`
	Theta           float64 `json:"rope_theta"`
	Factor          float64 `json:"factor"`
	LowFreqFactor   float64 `json:"low_freq_factor"`
	HighFreqFactor  float64 `json:"high_freq_factor"`
	OriginalContext int     `json:"original_max_position_embeddings"`
	// Partial is the fraction of each head that rotates, for architectures with partial
	// rotation.
	Partial float64 `json:"partial_rotary_factor"`
	// Factors divide the frequencies, one each: how GGUF files keep the scaling
	// of Llama 3.1.
	Factors []float64 `json:"factors"`
	// Alpha fixes the NTK-aware base of Hunyuan, of type dynamic.
	Alpha float64 `json:"alpha"`
	// Full and Sliding are the parameters of full and sliding layers, in the
	// rope_parameters of models where these differ.
	Full    *RopeScaling `json:"full_attention"`
	Sliding *RopeScaling `json:"sliding_attention"`
}

// Of returns the parameters of one kind of layers. kind is their entry in rope_parameters, or
// nil if c has one entry for all. theta is the flat setting, given under key, and standard the
// default for a base that neither gives.
func (c RopeConfig) Of(kind *RopeScaling, key string, theta, standard float64) RopeConfig {
	if kind != nil {
		c.Parameters = kind
	}
	c.RopeTheta, c.thetaKey, c.Standard = theta, key, standard
	return c
}

// Frequencies returns the rotary frequencies theta^(-2i/dim) of dim rotary dimensions. They
// are computed in float32, as in the reference, and scaled by the configured method.
func (c RopeConfig) Frequencies(dim int) ([]float32, error) {
	if err := c.contradiction(); err != nil {
		return nil, err
	}
	theta, scaling := c.RopeTheta, cmp.Or(c.Parameters, c.RopeScaling)
	if scaling != nil {
		theta = cmp.Or(scaling.Theta, theta)
	}
	theta = cmp.Or(theta, c.Standard, 10000)
	if err := CheckPositive(c.key(), theta); err != nil {
		return nil, err
	}
	if scaling == nil {
		return frequencies(theta, dim), nil
	}
	kind := scaling.kind()
	if kind == "dynamic" && scaling.Alpha != 0 {
		return scaling.alpha(theta, dim)
	}
	freqs := frequencies(theta, dim)
	switch kind {
	case "default":
		return freqs, nil
	case "linear":
		if err := CheckPositive("rope_scaling: factor", scaling.Factor); err != nil {
			return nil, err
		}
		for i := range freqs {
			freqs[i] /= float32(scaling.Factor)
		}
		return freqs, nil
	case "llama3":
		return scaling.llama3(freqs)
	case "factors":
		return scaling.divide(freqs)
	}
	return nil, badinput.Errorf("config.json: rope_scaling type %q is not supported; supported: default, linear, llama3", kind)
}

// frequencies returns theta^(-2i/dim).
func frequencies(theta float64, dim int) []float32 {
	freqs := make([]float32, dim/2)
	for i := range freqs {
		exponent := float32(2*i) / float32(dim)
		freqs[i] = 1 / float32(math.Pow(theta, float64(exponent)))
	}
	return freqs
}

// alpha scales theta for a context alpha times as long. The factor does not depend on the
// length of the input.
func (s *RopeScaling) alpha(theta float64, dim int) ([]float32, error) {
	if err := CheckPositive("rope_scaling: alpha", s.Alpha); err != nil {
		return nil, err
	}
	if dim <= 2 {
		return nil, badinput.Errorf("config.json: rope_scaling with alpha needs a head_dim above 2, found %d", dim)
	}
	theta *= math.Pow(s.Alpha, float64(dim)/float64(dim-2))
	if err := CheckPositive("rope_theta stretched by alpha", theta); err != nil {
		return nil, err
	}
	return frequencies(theta, dim), nil
}

// divide divides each frequency by its factor.
func (s *RopeScaling) divide(freqs []float32) ([]float32, error) {
	if len(s.Factors) != len(freqs) {
		return nil, badinput.Errorf("config.json: rope_scaling: %d factors for %d frequencies", len(s.Factors), len(freqs))
	}
	for i, f := range s.Factors {
		if err := CheckPositive("rope_scaling: factors", f); err != nil {
			return nil, err
		}
		freqs[i] /= float32(f)
	}
	return freqs, nil
}

// llama3 keeps short wavelengths, divides long ones by Factor, and
// interpolates between, in float32 as the reference.
func (s *RopeScaling) llama3(freqs []float32) ([]float32, error) {
	if err := cmp.Or(
		CheckPositive("rope_scaling: factor", s.Factor),
		CheckPositive("rope_scaling: low_freq_factor", s.LowFreqFactor),
		CheckPositive("rope_scaling: high_freq_factor", s.HighFreqFactor),
		CheckPositions("rope_scaling: original_max_position_embeddings", s.OriginalContext),
	); err != nil {
		return nil, err
	}
	if s.HighFreqFactor <= s.LowFreqFactor {
		return nil, badinput.Errorf("config.json: rope_scaling: high_freq_factor is %g, expected more than low_freq_factor, %g",
			s.HighFreqFactor, s.LowFreqFactor)
	}
	factor, context := float32(s.Factor), float32(s.OriginalContext)
	low, high := float32(s.LowFreqFactor), float32(s.HighFreqFactor)
	for i, f := range freqs {
		wavelength := float32(2*math.Pi) / f
		switch {
		case wavelength < context/high:
		case wavelength > context/low:
			freqs[i] = f / factor
		default:
			smooth := (context/wavelength - low) / (high - low)
			freqs[i] = (1-smooth)*f/factor + smooth*f
		}
	}
	return freqs, nil
}
