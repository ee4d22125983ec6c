package merge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/durable"
)

// The methods of a combination.
const (
	// Linear is the weighted sum. Of adapters it is that of A and of B, as peft has it; of
	// models that of the weights ("model soups", Wortsman et al., 2022).
	Linear = "linear"
	// Cat makes an adapter whose rank is the sum of the ranks: exactly the weighted sum of the
	// updates.
	Cat = "cat"
	// SVD is the best approximation of the weighted sum of the updates with a rank.
	SVD = "svd"
	// Slerp goes from one model to another along the arc between them (Shoemake, "Animating
	// rotation with quaternion curves", 1985).
	Slerp = "slerp"
	// TIES adds to a base what models changed in it: the largest changes of each, and of these
	// those that have the sign of the majority (Yadav et al., "TIES-Merging", 2023).
	TIES = "ties"
)

// Combination describes how several adapters or models become one.
type Combination struct {
	Method string `json:"method"`
	Parts  []Part `json:"parts"`
	// Rank is that of an adapter by SVD; 0 means the largest of the parts.
	Rank int `json:"rank,omitempty"`
	// Density is the share of each tensor's changes that TIES keeps, and Scale the factor of
	// their sum.
	Density float64 `json:"density,omitempty"`
	Scale   float64 `json:"scale,omitempty"`
	// Base is the model whose changes TIES combines.
	Base *Part `json:"base,omitempty"`
}

// Part is an adapter or a model.
type Part struct {
	Dir    string  `json:"-"`
	Digest string  `json:"digest"`
	Weight float64 `json:"weight"`
}

// Check returns an error if the settings make no sense for a combination of adapters, or of
// models.
func (c *Combination) Check(adapters bool) error {
	what, methods := "models", []string{Linear, Slerp, TIES}
	if adapters {
		what, methods = "adapters", []string{Linear, Cat, SVD}
	}
	switch {
	case !slices.Contains(methods, c.Method):
		return badinput.Errorf("merge: method %q: %s are combined by %s", c.Method, what, strings.Join(methods, ", "))
	case len(c.Parts) < 2:
		return badinput.Errorf("merge: %d of %s, expected at least 2", len(c.Parts), what)
	case c.Method == Slerp && len(c.Parts) != 2:
		return badinput.Errorf("merge: slerp goes from one model to another, and there are %d; use linear", len(c.Parts))
	case c.Rank < 0 || c.Rank > 0 && c.Method != SVD:
		return badinput.Errorf("merge: rank is %d; it is a positive number, and for method svd only", c.Rank)
	case c.Method == TIES && c.Base == nil:
		return badinput.Errorf("merge: ties combines changes of a base model; name it with --base")
	case c.Method != TIES && (c.Base != nil || c.Density != 0 || c.Scale != 0):
		return badinput.Errorf("merge: base, density and scale are for method ties only")
	case c.Method == TIES && !(c.Density > 0 && c.Density <= 1):
		return badinput.Errorf("merge: density is %g, expected more than 0 and at most 1", c.Density)
	}
	var sum float64
	for _, p := range c.Parts {
		if p.Weight-p.Weight != 0 || !adapters && p.Weight < 0 {
			return badinput.Errorf("merge: weight %g, expected a finite number, which is not negative for models", p.Weight)
		}
		sum += p.Weight
	}
	if !adapters && sum == 0 {
		return badinput.Errorf("merge: the weights of all models are 0")
	}
	return nil
}

// inputs names the directories, for errors.
func (c *Combination) inputs(what string) map[string]string {
	m := map[string]string{}
	for i, p := range c.Parts {
		m[fmt.Sprintf("%s %d", what, i+1)] = p.Dir
	}
	if c.Base != nil {
		m["base"] = c.Base.Dir
	}
	return m
}

// add adds the combination to the settings that a finished directory is compared by.
func (c *Combination) add(s durable.Settings) {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // numbers were checked to be finite
	}
	s.Add(data)
}
