package gguf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// family is what files of an architecture have in common.
type family struct {
	architecture string // in config.json
	modelType    string
	// blocks are the names of a block's tensors in transformers, by those in
	// the file.
	blocks map[string]string
	// permuted: rows of queries and keys are stored in pairs of the rotation.
	permuted bool
	// plusOne: norms are stored with the 1 that the model adds.
	plusOne bool
}

// shared are the tensors of a block that all families have.
var shared = map[string]string{
	"attn_norm": "input_layernorm",
	"attn_q":    "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}

// with adds names to the shared ones.
func with(names ...string) map[string]string {
	m := map[string]string{}
	for k, v := range shared {
		m[k] = v
	}
	for i := 0; i < len(names); i += 2 {
		m[names[i]] = names[i+1]
	}
	return m
}

var (
	gated = with("ffn_norm", "post_attention_layernorm")
	gemma = with("ffn_norm", "pre_feedforward_layernorm", "post_attention_norm", "post_attention_layernorm",
		"post_ffw_norm", "post_feedforward_layernorm", "attn_q_norm", "self_attn.q_norm", "attn_k_norm", "self_attn.k_norm")
)

// families are the architectures that are read, by general.architecture.
var families = map[string]family{
	"llama":   {"LlamaForCausalLM", "llama", gated, true, false},
	"smollm3": {"SmolLM3ForCausalLM", "smollm3", gated, true, false},
	"qwen2":   {"Qwen2ForCausalLM", "qwen2", gated, false, false},
	"qwen3": {"Qwen3ForCausalLM", "qwen3", with("ffn_norm", "post_attention_layernorm", "attn_q_norm", "self_attn.q_norm",
		"attn_k_norm", "self_attn.k_norm"), false, false},
	"hunyuan-dense": {"HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense",
		with("ffn_norm", "post_attention_layernorm", "attn_q_norm", "self_attn.query_layernorm",
			"attn_k_norm", "self_attn.key_layernorm"), false, false},
	"gemma2": {"Gemma2ForCausalLM", "gemma2", gemma, false, true},
	"gemma3": {"Gemma3ForCausalLM", "gemma3_text", gemma, false, true},
}

// family returns the file's, or an error that lists those that are read.
func (c *contents) family() (family, error) {
	f, ok := families[c.architecture()]
	if !ok {
		var known []string
		for name := range families {
			known = append(known, name)
		}
		slices.Sort(known)
		return f, badinput.Errorf("architecture %q is not supported; supported: %s", c.architecture(), strings.Join(known, ", "))
	}
	return f, nil
}

var blockTensor = regexp.MustCompile(`^blk\.(\d{1,4})\.(.+)\.(weight|bias)$`)

// ropeFactors is the tensor that divides the rotary frequencies of Llama 3.1
// and later; it becomes a setting.
const ropeFactors = "rope_freqs.weight"

// hugging returns the name of a tensor in transformers.
func (f family) hugging(name string) (string, error) {
	switch name {
	case "token_embd.weight":
		return "model.embed_tokens.weight", nil
	case "output_norm.weight":
		return "model.norm.weight", nil
	case "output.weight":
		return "lm_head.weight", nil
	}
	if m := blockTensor.FindStringSubmatch(name); m != nil {
		if module, ok := f.blocks[m[2]]; ok {
			return fmt.Sprintf("model.layers.%s.%s.%s", m[1], module, m[3]), nil
		}
	}
	return "", badinput.Errorf("tensor %s belongs to no part of %s that is known", name, f.architecture)
}
