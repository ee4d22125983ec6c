package model_test

import (
	"encoding/json"
	"math"
	"testing"

	"barka/internal/golden"
	"barka/internal/model"
)

// TestFrequencies compares the rotary frequencies of real models with those of
// transformers, except for the last bit, because the two round powers differently.
func TestFrequencies(t *testing.T) {
	var want struct {
		Rope []json.RawMessage `json:"rope"`
	}
	golden.Load(t, "llama", &want)
	if len(want.Rope) < 6 {
		t.Fatalf("%d cases", len(want.Rope))
	}
	for _, text := range want.Rope {
		var c struct {
			Dim         int       `json:"dim"`
			Frequencies []float32 `json:"frequencies"`
			model.RopeConfig
		}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		got, err := c.RopeConfig.Frequencies(c.Dim)
		if err != nil || len(got) != len(c.Frequencies) {
			t.Fatalf("%d frequencies, %v", len(got), err)
		}
		for i, w := range c.Frequencies {
			if d := int64(math.Float32bits(got[i])) - int64(math.Float32bits(w)); d < -1 || d > 1 {
				t.Errorf("dim %d, theta %g, %+v: frequency %d is %g, want %g", c.Dim, c.RopeTheta, c.RopeScaling, i, got[i], w)
			}
		}
	}
}
