package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
)

// Special holds the ids of the special tokens that every model may have; -1 means
// none.
type Special struct{ BOS, EOS, Pad, Unk int32 }

// config holds the settings from the files beside tokenizer.json.
type config struct {
	special      Special
	chatTemplate string
	named        map[string]any // special tokens by their names in chat templates
	cleanUp      bool
	class        string
	legacy       bool // NLLB: the language token of a source follows </s>
	strip        bool // translations are stripped of white space
}

// Special returns the ids of BOS, EOS, padding and unknown tokens, as named by
// tokenizer_config.json.
func (t *Tokenizer) Special() Special { return t.config.special }

// ChatTemplate returns the Jinja text of chat_template.jinja or
// tokenizer_config.json, or "".
func (t *Tokenizer) ChatTemplate() string { return t.config.chatTemplate }

// SpecialTexts returns the special tokens that the files name, in the form in which
// transformers passes them to chat templates: bos_token and the like are strings,
// additional_special_tokens is a list of strings.
func (t *Tokenizer) SpecialTexts() map[string]any { return t.config.named }

// Class returns tokenizer_class of tokenizer_config.json, or "".
func (t *Tokenizer) Class() string { return t.config.class }

// CleanUp reports whether tokenizer_config.json asks for
// clean_up_tokenization_spaces: CleanUpSpaces after decoding.
func (t *Tokenizer) CleanUp() bool { return t.config.cleanUp }

// tokenText is a token written as a string or as an object with a content.
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

// maxFile bounds the size of a tokenizer's files in bytes. The largest file known
// to us is the tokenizer.json of Gemma 2, with 18 MB.
const maxFile = 64 << 20

// Load reads the tokenizer of a model directory: tokenizer.json or, if there is
// none, the SentencePiece model of a Llama, Gemma, NLLB or M2M-100 model. The files
// beside it provide the special tokens and the chat template, and decide what the
// tokenizer classes of transformers add.
func Load(dir string) (*Tokenizer, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "tokenizer.json")
	data, err := badinput.ReadFile(path, maxFile)
	switch {
	case err == nil:
		t, err := Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		t.configure(c)
		return t, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, badinput.Wrap(err)
	}
	for _, name := range []string{"tokenizer.model", fairseqFile} {
		path := filepath.Join(dir, name)
		data, err := badinput.ReadFile(path, maxFile)
		if badinput.Is(err) {
			return nil, err
		}
		if err != nil {
			continue
		}
		t, err := ParseSentencePiece(data)
		if err == nil {
			err = t.completeSentencePiece(dir, name, c)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return t, nil
	}
	return nil, badinput.Errorf("%s: no tokenizer found; expected tokenizer.json or a SentencePiece model", dir)
}

// configFile is tokenizer_config.json. Fields that it lacks come from
// special_tokens_map.json; chat_template.jinja overrides its template.
type configFile struct {
	BOS          tokenText             `json:"bos_token"`
	EOS          tokenText             `json:"eos_token"`
	Pad          tokenText             `json:"pad_token"`
	Unk          tokenText             `json:"unk_token"`
	Sep          tokenText             `json:"sep_token"`
	CLS          tokenText             `json:"cls_token"`
	Mask         tokenText             `json:"mask_token"`
	Additional   []tokenText           `json:"additional_special_tokens"`
	Added        map[string]addedToken `json:"added_tokens_decoder"` // by id
	AddBOS       *bool                 `json:"add_bos_token"`
	AddEOS       *bool                 `json:"add_eos_token"`
	AddPrefix    *bool                 `json:"add_prefix_space"`
	Legacy       *bool                 `json:"legacy"`
	LegacyNLLB   bool                  `json:"legacy_behaviour"`
	Source       string                `json:"src_lang"`
	Codes        string                `json:"language_codes"`
	ChatTemplate json.RawMessage       `json:"chat_template"`
	CleanUp      bool                  `json:"clean_up_tokenization_spaces"`
	Class        string                `json:"tokenizer_class"`

	present bool // tokenizer_config.json exists
}

// readConfig reads the files beside the tokenizer. All of them may be missing.
func readConfig(dir string) (configFile, error) {
	var c configFile
	for _, name := range []string{"special_tokens_map.json", "tokenizer_config.json"} {
		path := filepath.Join(dir, name)
		data, err := badinput.ReadFile(path, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, badinput.Wrap(err)
		}
		additional := c.Additional
		if err := json.Unmarshal(data, &c); err != nil {
			return c, badinput.Errorf("%s: %w", path, err)
		}
		if len(c.Additional) == 0 {
			c.Additional = additional // it is null in the second file
		}
		c.present = name == "tokenizer_config.json"
	}
	return c, c.readTemplates(dir)
}

// readTemplates reads the chat templates in separate files, with the precedence of
// transformers: chat_template.jinja overrides tokenizer_config.json, which
// overrides the chat_template.json of older processors.
func (c *configFile) readTemplates(dir string) error {
	for _, name := range []string{"chat_template.jinja", filepath.Join("additional_chat_templates", "default.jinja"),
		"chat_template.json"} {
		path := filepath.Join(dir, name)
		text, err := badinput.ReadFile(path, maxFile)
		if errors.Is(err, fs.ErrNotExist) || err == nil && name == "chat_template.json" && c.defaultTemplate() != "" {
			continue
		}
		if err != nil {
			return badinput.Wrap(err)
		}
		if name == "chat_template.json" {
			if err := json.Unmarshal(text, &struct {
				T *json.RawMessage `json:"chat_template"`
			}{&c.ChatTemplate}); err != nil {
				return badinput.Errorf("%s: %w", path, err)
			}
			continue
		}
		if c.ChatTemplate, err = json.Marshal(string(text)); err != nil {
			return err
		}
	}
	return nil
}

// defaultTemplate returns the template. If there are several, in a list or an
// object, it returns the one named "default".
func (c *configFile) defaultTemplate() string {
	var one string
	if json.Unmarshal(c.ChatTemplate, &one) == nil {
		return one
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(c.ChatTemplate, &list) == nil {
		for _, n := range list {
			if n.Name == "default" {
				one = n.Template
			}
		}
		return one
	}
	var named map[string]string
	if json.Unmarshal(c.ChatTemplate, &named) == nil {
		return named["default"]
	}
	return ""
}

// configure applies the configuration files.
func (t *Tokenizer) configure(c configFile) {
	t.config.special = Special{t.lookup(c.BOS), t.lookup(c.EOS), t.lookup(c.Pad), t.lookup(c.Unk)}
	t.config.cleanUp = c.CleanUp
	t.config.class = c.Class
	t.config.legacy = c.LegacyNLLB
	t.config.named = c.specialTexts()
	t.config.chatTemplate = c.defaultTemplate()
	switch strings.TrimSuffix(c.Class, "Fast") {
	case "LlamaTokenizer", "GemmaTokenizer":
		// These classes replace the post-processor of the file.
		t.post = &template{}
		if id := t.config.special.BOS; id >= 0 && (c.AddBOS == nil || *c.AddBOS) {
			t.post.before = []int32{id}
		}
		if id := t.config.special.EOS; id >= 0 && c.AddEOS != nil && *c.AddEOS {
			t.post.after = []int32{id}
		}
	case "NllbTokenizer":
		// This one does too. Without its default language, texts would start with <unk>.
		if from := cmp.Or(c.Source, "eng_Latn"); t.hasLanguage(from) {
			_ = t.translateFrom(from)
		}
	}
}

func (c configFile) specialTexts() map[string]any {
	out := map[string]any{}
	for name, text := range map[string]tokenText{"bos_token": c.BOS, "eos_token": c.EOS, "unk_token": c.Unk, "sep_token": c.Sep,
		"pad_token": c.Pad, "cls_token": c.CLS, "mask_token": c.Mask} {
		if text != "" {
			out[name] = string(text)
		}
	}
	if len(c.Additional) > 0 {
		var list []string
		for _, text := range c.Additional {
			list = append(list, string(text))
		}
		out["additional_special_tokens"] = list
	}
	return out
}

func (t *Tokenizer) lookup(text tokenText) int32 {
	if id, ok := t.ID(string(text)); ok && text != "" {
		return id
	}
	return -1
}

// CleanUpSpaces removes the spaces before English punctuation and contractions, as
// transformers does with clean_up_tokenization_spaces.
func CleanUpSpaces(s string) string { return cleanUp.Replace(s) }

var cleanUp = sequentialReplacer{
	" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " 's", "'s", " 've", "'ve", " 're", "'re",
}

// sequentialReplacer applies replacements one after the other. The result differs
// from that of strings.Replacer where they overlap.
type sequentialReplacer []string

func (r sequentialReplacer) Replace(s string) string {
	for i := 0; i < len(r); i += 2 {
		s = strings.ReplaceAll(s, r[i], r[i+1])
	}
	return s
}
