package model

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"reflect"
	"strings"

	"barka/internal/badinput"
	"barka/internal/jsonl"
)

// ReadConfig returns config.json of a model directory. Models that also read images nest the
// settings of the language model in text_config; ReadConfig returns these and the outer
// settings as one object.
func ReadConfig(dir string) ([]byte, error) {
	path := filepath.Join(dir, "config.json")
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if badinput.Is(err) {
		return nil, err
	}
	if err != nil {
		return nil, badinput.Errorf("model %s has no readable config.json (%w); --model takes a directory in Hugging Face layout", dir, err)
	}
	var head configHead
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, badinput.Errorf("%s: not valid JSON: %w", path, err)
	}
	if head.TorchDType != "" && head.DType != "" && head.TorchDType != head.DType {
		return nil, badinput.Errorf("%s: torch_dtype is %q, and dtype is %q; remove the wrong one", path, head.TorchDType, head.DType)
	}
	if len(head.Text) == 0 {
		return data, nil
	}
	if data, err = withoutNesting(data); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Decode reads config.json's text into an architecture's configuration c, which holds the
// values of settings that the text leaves out.
func Decode(config []byte, c any) error {
	if err := jsonl.Unmarshal(config, c); err != nil {
		return badinput.Errorf("config.json: %w", err)
	}
	return nil
}

// withoutNesting moves the settings of text_config to the outer object. The settings that
// name the whole model stay.
func withoutNesting(config []byte) ([]byte, error) {
	var outer, inner map[string]json.RawMessage
	if err := json.Unmarshal(config, &outer); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(outer["text_config"], &inner); err != nil {
		return nil, badinput.Errorf("text_config: %w", err)
	}
	for key, v := range inner {
		switch old, both := outer[key]; {
		case key == "architectures" || key == "model_type":
			continue
		case both && bearing[key] && !sameJSON(v, old):
			return nil, badinput.Errorf("%s is %s, and %s in text_config; remove the wrong one", key, old, v)
		}
		outer[key] = v
	}
	delete(outer, "text_config")
	return json.Marshal(outer)
}

// bearing has the settings that affect the shapes or the arithmetic.
var bearing = func() map[string]bool {
	keys := map[string]bool{}
	for _, key := range strings.Fields(`vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads
		num_key_value_heads head_dim max_position_embeddings rms_norm_eps hidden_activation hidden_act attention_bias
		query_pre_attn_scalar attn_logit_softcapping final_logit_softcapping tie_word_embeddings
		sliding_window sliding_window_pattern layer_types use_bidirectional_attention
		rope_theta rope_local_base_freq rope_scaling rope_parameters`) {
		keys[key] = true
	}
	return keys
}()

// sameJSON reports whether two texts are the same value: 10000 and 10000.0 are.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// withDefaults returns the settings of config.json, with the architecture's defaults for
// those that the file leaves out.
func (a *Architecture) withDefaults(config []byte) ([]byte, error) {
	if a.Defaults == "" {
		return config, nil
	}
	var all, said map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.Defaults), &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(config, &said); err != nil {
		return nil, badinput.Errorf("config.json: %w", err)
	}
	maps.Copy(all, said)
	return json.Marshal(all)
}

// visual are the prefixes of modules that read images. The language model does not use them.
var visual = []string{"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."}

// Visual reports whether a tensor belongs to the part of a model that reads images.
func Visual(tensor string) bool {
	for _, prefix := range visual {
		if strings.HasPrefix(tensor, prefix) {
			return true
		}
	}
	return false
}

// storedLanguage is the prefix of the language model's tensors in checkpoints of models that
// also read images. In transformers the same modules have the prefix languageModule.
const (
	storedLanguage = "language_model.model."
	languageModule = "model.language_model."
)

// Module returns the path of a stored tensor's module in transformers, which PEFT adapters
// use.
func Module(stored string) string {
	if rest, ok := strings.CutPrefix(stored, storedLanguage); ok {
		return languageModule + rest
	}
	return stored
}

// LanguagePrefix returns the prefix of the language model's tensors in this checkpoint.
func (w *Weights) LanguagePrefix() string {
	for _, prefix := range []string{storedLanguage, languageModule} {
		if w.Has(prefix + "embed_tokens.weight") {
			return prefix
		}
	}
	return "model."
}

// IgnoreImages marks the tensors that read images as known, and leaves a note if there are
// any.
func (w *Weights) IgnoreImages() {
	n := 0
	for _, name := range w.ck.Names() {
		if Visual(name) {
			w.Ignore(name)
			n++
		}
	}
	if n > 0 {
		w.Note("the part that reads images is not loaded")
	}
}
