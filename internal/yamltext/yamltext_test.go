package yamltext

import (
	"strings"
	"testing"

	"barka/internal/badinput"
)

// TestHostile: what the library takes too much for, or panics on, is an error.
func TestHostile(t *testing.T) {
	for what, text := range map[string]string{
		"panic":    "configs: !a]\n---]\n",
		"deep":     strings.Repeat("[", 1000),
		"by dash":  strings.Repeat("- ", 1000) + "a",
		"marks":    strings.Repeat("- &a b\n", 1000),
		"long":     "a: " + strings.Repeat("b", maxData),
		"unopened": "]",
	} {
		var v struct {
			Configs []any `yaml:"configs"`
		}
		if err := Unmarshal([]byte(text), &v); !badinput.Is(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var v map[string]int
	if err := Unmarshal([]byte("a: 1\n"), &v); err != nil || v["a"] != 1 {
		t.Errorf("%v, %v", v, err)
	}
}

// FuzzYAML: no text ends the program.
func FuzzYAML(f *testing.F) {
	f.Add([]byte("a: [1, {b: c}]\n"))
	f.Add([]byte("configs: !a]\n---]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v map[string]any
		_ = Unmarshal(text, &v)
		if file, err := Parse(text); err == nil {
			for _, d := range file.Docs {
				if d.Body != nil {
					_ = Flat(d.Body)
				}
			}
		}
		_, _ = JSON(text)
	})
}
