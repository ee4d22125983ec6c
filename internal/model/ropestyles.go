package model

import (
	"cmp"

	"barka/internal/badinput"
)

// contradiction returns an error if two spellings of rotary positions in config.json differ:
// the flat keys, rope_scaling of transformers 4 and rope_parameters of transformers 5. A
// setting that only one of them gives is no contradiction.
func (c RopeConfig) contradiction() error {
	if err := cmp.Or(c.RopeScaling.check("rope_scaling"), c.Parameters.check("rope_parameters")); err != nil {
		return err
	}
	if old := c.RopeScaling; old != nil {
		if err := CheckSame(c.key(), c.RopeTheta, "rope_scaling: rope_theta", old.Theta); err != nil {
			return err
		}
	}
	if c.Parameters == nil {
		return nil
	}
	if err := CheckSame(c.key(), c.RopeTheta, "rope_parameters: rope_theta", c.Parameters.Theta); err != nil || c.RopeScaling == nil {
		return err
	}
	return c.RopeScaling.equals(c.Parameters)
}

// key is the key of the flat base.
func (c RopeConfig) key() string { return cmp.Or(c.thetaKey, "rope_theta") }

// kind is the method of scaling.
func (s *RopeScaling) kind() string { return cmp.Or(s.Type, s.OldType, "default") }

// check returns an error if an entry of config.json names two methods, or has entries for
// kinds of layers where one for all is expected.
func (s *RopeScaling) check(key string) error {
	switch {
	case s == nil:
	case s.Type != "" && s.OldType != "" && s.Type != s.OldType:
		return badinput.Errorf("config.json: %s: rope_type is %q, and type %q; remove the wrong one", key, s.Type, s.OldType)
	case s.Full != nil || s.Sliding != nil:
		return badinput.Errorf("config.json: %s has entries for kinds of layers; expected one for all layers, "+
			"or full_attention and sliding_attention for Gemma 3 and nothing beside them", key)
	}
	return nil
}

// equals returns an error if rope_scaling, s, and rope_parameters differ in anything but the
// base.
func (s *RopeScaling) equals(parameters *RopeScaling) error {
	if s.kind() != parameters.kind() {
		return badinput.Errorf("config.json: rope_scaling has the type %q, and rope_parameters %q; remove the wrong one",
			s.kind(), parameters.kind())
	}
	for _, n := range []struct {
		key  string
		a, b float64
	}{
		{"factor", s.Factor, parameters.Factor},
		{"low_freq_factor", s.LowFreqFactor, parameters.LowFreqFactor},
		{"high_freq_factor", s.HighFreqFactor, parameters.HighFreqFactor},
		{"original_max_position_embeddings", float64(s.OriginalContext), float64(parameters.OriginalContext)},
		{"alpha", s.Alpha, parameters.Alpha},
		{"partial_rotary_factor", s.Partial, parameters.Partial},
	} {
		if n.a != 0 && n.b != 0 && n.a != n.b && s.kind() != "default" {
			return badinput.Errorf("config.json: %s is %g in rope_scaling, and %g in rope_parameters; remove the wrong one", n.key, n.a, n.b)
		}
	}
	return nil
}

// CheckSame returns an error if a setting that has two keys is given under both, with
// different values. 0 means not given.
func CheckSame(key string, a float64, other string, b float64) error {
	if a != 0 && b != 0 && a != b {
		return badinput.Errorf("config.json: %s is %g, and %s is %g; remove the wrong one", key, a, other, b)
	}
	return nil
}

// Kinds returns the entries of rope_parameters for full and for sliding layers, for
// architectures whose kinds of layers rotate differently. Both are nil if it has one entry
// for all.
func (c RopeConfig) Kinds() (full, sliding *RopeScaling, err error) {
	p := c.Parameters
	switch {
	case p == nil || p.Full == nil && p.Sliding == nil:
		return nil, nil, nil
	case p.Full == nil || p.Sliding == nil:
		return nil, nil, badinput.Errorf("config.json: rope_parameters has an entry for one kind of layers; " +
			"expected full_attention and sliding_attention")
	case p.Theta != 0 || p.Type != "" || p.OldType != "":
		return nil, nil, badinput.Errorf("config.json: rope_parameters has entries for kinds of layers and settings beside them; " +
			"remove the wrong ones")
	}
	return p.Full, p.Sliding, nil
}

// CheckSliding returns an error if layer_types has sliding layers and the setting named by key
// turns windows off.
func CheckSliding(types []string, key string, on bool) error {
	for i, t := range types {
		if t == SlidingAttention && !on {
			return badinput.Errorf("config.json: layer_types[%d] is %q, and %s is false; remove the wrong one", i, t, key)
		}
	}
	return nil
}
