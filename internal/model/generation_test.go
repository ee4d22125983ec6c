package model

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
)

func TestReadGeneration(t *testing.T) {
	for _, c := range []struct {
		name, config, generation string // "": no such file
		eos                      []int32
		start                    int32
		overrides                bool
		fails                    string
	}{
		{name: "neither", start: -1},
		{name: "config alone", config: `{"eos_token_id": 2, "decoder_start_token_id": 3, "bos_token_id": 1}`, eos: []int32{2}, start: 3},
		{name: "a list", config: `{"eos_token_id": 1, "bos_token_id": 2}`, generation: `{"eos_token_id": [1, 106]}`,
			eos: []int32{1, 106}, start: 2, overrides: true},
		{name: "the same", config: `{"eos_token_id": 1}`, generation: `{"eos_token_id": [1], "temperature": 0.6}`,
			eos: []int32{1}, start: -1},
		{name: "null", config: `{"eos_token_id": [5, 6], "decoder_start_token_id": 2}`,
			generation: `{"eos_token_id": null, "decoder_start_token_id": null}`, eos: []int32{5, 6}, start: 2},
		{name: "an empty list", config: `{"eos_token_id": 5}`, generation: `{"eos_token_id": []}`, eos: []int32{5}, start: -1},
		{name: "another start", config: `{"eos_token_id": 2, "decoder_start_token_id": 2}`,
			generation: `{"decoder_start_token_id": 0}`, eos: []int32{2}, start: 0, overrides: true},
		{name: "a word", config: `{}`, generation: `{"eos_token_id": "</s>"}`,
			fails: `generation_config.json: eos_token_id is "</s>", expected a token id or a list of them`},
		{name: "a list of words", config: `{"eos_token_id": [1, "x"]}`, fails: "config.json: eos_token_id is"},
		{name: "no JSON", config: `{}`, generation: `{`, fails: "generation_config.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"config.json": c.config, "generation_config.json": c.generation} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			g, err := ReadGeneration(dir)
			if c.fails != "" {
				if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v, expected %q", err, c.fails)
				}
				return
			}
			if err != nil || !slices.Equal(g.EOS, c.eos) || g.Start != c.start || g.Overrides != c.overrides {
				t.Errorf("%+v, %v", g, err)
			}
		})
	}
}
