package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"barka/internal/badinput"
)

// Generation has the settings of a checkpoint for generating text.
type Generation struct {
	// EOS are the tokens that end a text (eos_token_id). It is empty if no file has them.
	EOS []int32
	// Start is the first token of the decoder of an encoder-decoder model
	// (decoder_start_token_id, else bos_token_id). It is -1 if no file has one.
	Start int32
	// Overrides reports whether generation_config.json changes these values of config.json.
	Overrides bool
}

// generationFile is what both files may have. A missing value is nil.
type generationFile struct {
	EOS   tokenIDs `json:"eos_token_id"`
	Start *int32   `json:"decoder_start_token_id"`
	BOS   *int32   `json:"bos_token_id"`
}

// tokenIDs is a token id or a list of them.
type tokenIDs []int32

func (ids *tokenIDs) UnmarshalJSON(data []byte) error {
	var one *int32
	if json.Unmarshal(data, &one) == nil {
		if one != nil {
			*ids = tokenIDs{*one}
		}
		return nil
	}
	var list []int32
	if err := json.Unmarshal(data, &list); err != nil {
		return badinput.Errorf("eos_token_id is %s, expected a token id or a list of them", data)
	}
	if len(list) > 0 {
		*ids = list
	}
	return nil
}

// GenerationFile is the name of the settings of generation in a model directory.
const GenerationFile = "generation_config.json"

// ReadGeneration reads generation_config.json of a model directory, and config.json for the
// values that it does not have. Either file may be missing.
func ReadGeneration(dir string) (Generation, error) {
	below, err := readGenerationFile(dir, "config.json")
	if err != nil {
		return Generation{}, err
	}
	above, err := readGenerationFile(dir, GenerationFile)
	if err != nil {
		return Generation{}, err
	}
	if above.EOS == nil {
		above.EOS = below.EOS
	}
	start := cmp.Or(above.Start, below.Start, above.BOS, below.BOS)
	g := Generation{EOS: above.EOS, Start: -1}
	if start != nil {
		g.Start = *start
	}
	alone := cmp.Or(below.Start, below.BOS)
	g.Overrides = !slices.Equal(above.EOS, below.EOS) || start != nil && (alone == nil || *alone != *start)
	return g, nil
}

func readGenerationFile(dir, name string) (generationFile, error) {
	var c generationFile
	path := filepath.Join(dir, name)
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return c, badinput.Wrap(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, badinput.Errorf("%s: %w", path, err)
	}
	return c, nil
}
