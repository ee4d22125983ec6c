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

// Generation is what a checkpoint says about generating text.
type Generation struct {
	// EOS are the tokens that end a text (eos_token_id); none if no file says.
	EOS []int32
	// Start is the token that a decoder behind an encoder begins with
	// (decoder_start_token_id, else bos_token_id); -1 if no file says.
	Start int32
	// Overrides reports whether generation_config.json differs in this from
	// config.json.
	Overrides bool
}

// generationFile is what both files may hold; nil where a file is silent.
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

// ReadGeneration reads generation_config.json of a model directory, and
// config.json for what that file is silent about. Either may be missing.
func ReadGeneration(dir string) (Generation, error) {
	below, err := readGenerationFile(dir, "config.json")
	if err != nil {
		return Generation{}, err
	}
	above, err := readGenerationFile(dir, "generation_config.json")
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
