package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
)

// Special holds the ids of the tokens that mark texts; -1: none.
type Special struct{ BOS, EOS, Pad, Unk int32 }

// config is what the files beside tokenizer.json say.
type config struct {
	special      Special
	chatTemplate string
	cleanUp      bool
	class        string
}

// Special returns the ids of the marking tokens, from tokenizer_config.json.
func (t *Tokenizer) Special() Special { return t.config.special }

// ChatTemplate returns the Jinja text of tokenizer_config.json, or "".
func (t *Tokenizer) ChatTemplate() string { return t.config.chatTemplate }

// Class returns tokenizer_class of tokenizer_config.json, or "".
func (t *Tokenizer) Class() string { return t.config.class }

// CleanUp reports whether tokenizer_config.json asks for
// clean_up_tokenization_spaces: CleanUpSpaces after decoding.
func (t *Tokenizer) CleanUp() bool { return t.config.cleanUp }

// tokenText reads a token given as a string or as an object with content.
type tokenText string

func (s *tokenText) UnmarshalJSON(data []byte) error {
	var o struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(data, (*string)(s)) == nil {
		return nil
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	*s = tokenText(o.Content)
	return nil
}

// Load reads the tokenizer of a model directory: tokenizer.json, with
// tokenizer_config.json for the marking tokens and the chat template; or,
// where there is none, a SentencePiece model.
func Load(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		t, err := Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		return t, t.readConfig(dir)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, badinput.Wrap(err)
	}
	for _, name := range []string{"tokenizer.model", "sentencepiece.bpe.model", "spiece.model"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		t, err := ParseSentencePiece(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		return t, t.readConfig(dir)
	}
	return nil, badinput.Errorf("%s: no tokenizer found; expected tokenizer.json or a SentencePiece model", dir)
}

// readConfig reads tokenizer_config.json, which may be missing.
func (t *Tokenizer) readConfig(dir string) error {
	path := filepath.Join(dir, "tokenizer_config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return badinput.Wrap(err)
	}
	var c struct {
		BOS          tokenText       `json:"bos_token"`
		EOS          tokenText       `json:"eos_token"`
		Pad          tokenText       `json:"pad_token"`
		Unk          tokenText       `json:"unk_token"`
		ChatTemplate json.RawMessage `json:"chat_template"`
		CleanUp      *bool           `json:"clean_up_tokenization_spaces"`
		Class        string          `json:"tokenizer_class"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	t.config.special = Special{t.lookup(c.BOS), t.lookup(c.EOS), t.lookup(c.Pad), t.lookup(c.Unk)}
	t.config.cleanUp = c.CleanUp != nil && *c.CleanUp
	t.config.class = c.Class
	// One template, or a list of named ones of which "default" counts.
	if json.Unmarshal(c.ChatTemplate, &t.config.chatTemplate) != nil {
		var named []struct{ Name, Template string }
		if json.Unmarshal(c.ChatTemplate, &named) == nil {
			for _, n := range named {
				if n.Name == "default" {
					t.config.chatTemplate = n.Template
				}
			}
		}
	}
	return nil
}

func (t *Tokenizer) lookup(text tokenText) int32 {
	if id, ok := t.ID(string(text)); ok && text != "" {
		return id
	}
	return -1
}

// CleanUpSpaces removes the spaces that transformers'
// clean_up_tokenization_spaces removes: before English punctuation and
// contractions.
func CleanUpSpaces(s string) string { return cleanUp.Replace(s) }

var cleanUp = sequentialReplacer{
	" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " 's", "'s", " 've", "'ve", " 're", "'re",
}

// sequentialReplacer applies one replacement after the other, which differs
// from strings.Replacer where they overlap.
type sequentialReplacer []string

func (r sequentialReplacer) Replace(s string) string {
	for i := 0; i < len(r); i += 2 {
		s = strings.ReplaceAll(s, r[i], r[i+1])
	}
	return s
}
