// Package bench measures the engine: the machine's ceilings, kernels at the
// shapes of real models, and whole workloads on checkpoints of real shapes
// with random weights.
package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// Shape is a model described by its dimensions, enough to write a checkpoint that
// loads.
type Shape struct {
	Name   string
	Layers int // of each stack
	config map[string]any
	// tensors lists the names and shapes of all weights.
	tensors func(s *Shape) []weight
}

type weight struct {
	name  string
	shape []int
}

func (s *Shape) dim(key string) int { return s.config[key].(int) }

// optional returns a dimension that not every architecture names.
func (s *Shape) optional(key string, otherwise int) int {
	if v, ok := s.config[key].(int); ok {
		return v
	}
	return otherwise
}

// Shapes returns the names of the known shapes.
func Shapes() []string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.Name)
	}
	return names
}

// Find returns a shape with at most the given number of layers; 0 keeps all.
func Find(name string, layers int) (*Shape, error) {
	i := slices.IndexFunc(shapes, func(s Shape) bool { return s.Name == name })
	if i < 0 {
		return nil, badinput.Errorf("shape %q is not known; the known shapes are %s", name, strings.Join(Shapes(), ", "))
	}
	s := shapes[i]
	if layers > 0 {
		s.Layers = min(s.Layers, layers)
	}
	return &s, nil
}

// String names the shape and its layers, as in results.
func (s *Shape) String() string { return fmt.Sprintf("%s, %d layers", s.Name, s.Layers) }

// Parameters counts the values of the checkpoint, and those that every token is
// multiplied with in the layers (without embedding and head).
func (s *Shape) Parameters() (all, layers int64) {
	for _, w := range s.tensors(s) {
		n := int64(1)
		for _, d := range w.shape {
			n *= int64(d)
		}
		all += n
		if len(w.shape) == 2 && strings.Contains(w.name, "layers.") {
			layers += n
		}
	}
	return all, layers
}

// Seq2Seq reports whether the shape is an encoder and a decoder.
func (s *Shape) Seq2Seq() bool { return s.config["model_type"] == "m2m_100" }

// gemma2 and the functions below return configurations with the keys of config.json.
func gemma2(hidden, ffn, heads, kv, headDim, scalar, vocab int) map[string]any {
	return map[string]any{
		"architectures": []string{"Gemma2ForCausalLM"}, "model_type": "gemma2", "hidden_size": hidden, "intermediate_size": ffn,
		"num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": headDim, "query_pre_attn_scalar": scalar, "vocab_size": vocab,
		"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 4096, "max_position_embeddings": 8192,
		"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_activation": "gelu_pytorch_tanh",
		"hidden_act": "gelu_pytorch_tanh", "attention_bias": false,
		"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
	}
}

func llama(architecture, kind string, hidden, ffn, heads, kv, vocab int, theta float64) map[string]any {
	return map[string]any{
		"architectures": []string{architecture}, "model_type": kind, "hidden_size": hidden, "intermediate_size": ffn,
		"num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": hidden / heads, "vocab_size": vocab,
		"max_position_embeddings": 8192,
		"rms_norm_eps":            1e-5, "rope_theta": theta, "hidden_act": "silu", "tie_word_embeddings": true, "bos_token_id": 1,
		"eos_token_id": 2,
	}
}

func gemma3(hidden, ffn, heads, kv, headDim, window, vocab int) map[string]any {
	c := gemma2(hidden, ffn, heads, kv, headDim, headDim, vocab)
	maps.Copy(c, map[string]any{
		"architectures": []string{"Gemma3ForCausalLM"}, "model_type": "gemma3_text", "attn_logit_softcapping": nil,
		"final_logit_softcapping": nil,
		"sliding_window":          window, "sliding_window_pattern": 6, "max_position_embeddings": 32768, "rope_theta": 1e6,
		"rope_local_base_freq": 10000.0,
	})
	return c
}

func qwen3(hidden, ffn, heads, kv, headDim, vocab int) map[string]any {
	c := llama("Qwen3ForCausalLM", "qwen3", hidden, ffn, heads, kv, vocab, 1e6)
	c["head_dim"], c["rms_norm_eps"] = headDim, 1e-6
	return c
}

func neox(hidden, ffn, heads, vocab int) map[string]any {
	return map[string]any{
		"architectures": []string{"GPTNeoXForCausalLM"}, "model_type": "gpt_neox", "hidden_size": hidden, "intermediate_size": ffn,
		"num_attention_heads": heads, "vocab_size": vocab, "max_position_embeddings": 2048, "rotary_pct": 0.25, "rotary_emb_base": 10000,
		"layer_norm_eps": 1e-5, "hidden_act": "gelu", "use_parallel_residual": true, "tie_word_embeddings": false,
		"bos_token_id": 0, "eos_token_id": 0,
	}
}

func m2m100(d, ffn, heads, vocab int) map[string]any {
	return map[string]any{
		"architectures": []string{"M2M100ForConditionalGeneration"}, "model_type": "m2m_100", "d_model": d, "vocab_size": vocab,
		"encoder_attention_heads": heads, "decoder_attention_heads": heads, "encoder_ffn_dim": ffn, "decoder_ffn_dim": ffn,
		"activation_function": "relu", "scale_embedding": true, "max_position_embeddings": 1024, "is_encoder_decoder": true,
		"decoder_start_token_id": 2, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "tie_word_embeddings": true,
	}
}

var shapes = []Shape{
	{"gemma-2-2b", 26, gemma2(2304, 9216, 8, 4, 256, 256, 256000), gatedTensors},
	{"gemma-2-9b", 42, gemma2(3584, 14336, 16, 8, 256, 256, 256000), gatedTensors},
	{"llama-3.2-1b", 16, llama("LlamaForCausalLM", "llama", 2048, 8192, 32, 8, 128256, 500000), gatedTensors},
	{"qwen2.5-0.5b", 24, llama("Qwen2ForCausalLM", "qwen2", 896, 4864, 14, 2, 151936, 1e6), gatedTensors},
	{"gemma-3-1b", 26, gemma3(1152, 6912, 4, 1, 256, 512, 262144), gatedTensors},
	{"gemma-3-4b", 34, gemma3(2560, 10240, 8, 4, 256, 1024, 262208), gatedTensors},
	{"qwen3-0.6b", 28, qwen3(1024, 3072, 16, 8, 128, 151936), gatedTensors},
	{"qwen3-4b", 36, qwen3(2560, 9728, 32, 8, 128, 151936), gatedTensors},
	{"pythia-70m", 6, neox(512, 2048, 8, 50304), neoxTensors},
	{"nllb-600m", 12, m2m100(1024, 4096, 16, 256206), m2m100Tensors},
	{"tiny-gemma-2", 2, gemma2(64, 128, 4, 2, 16, 16, 512), gatedTensors}, // of no model: for an emulated GPU
	{"tiny-nllb", 2, m2m100(64, 128, 4, 512), m2m100Tensors},
}

// gatedTensors returns the tensors of Gemma 2 and 3, Llama, Qwen2 and Qwen3 with tied
// embeddings.
func gatedTensors(s *Shape) []weight {
	d, f, hd := s.dim("hidden_size"), s.dim("intermediate_size"), s.dim("head_dim")
	q, kv := s.dim("num_attention_heads")*hd, s.dim("num_key_value_heads")*hd
	kind := s.config["model_type"]
	ws := []weight{{"model.embed_tokens.weight", []int{s.dim("vocab_size"), d}}, {"model.norm.weight", []int{d}}}
	for i := range s.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		ws = append(ws,
			weight{p + "input_layernorm.weight", []int{d}}, weight{p + "post_attention_layernorm.weight", []int{d}},
			weight{p + "self_attn.q_proj.weight", []int{q, d}}, weight{p + "self_attn.k_proj.weight", []int{kv, d}},
			weight{p + "self_attn.v_proj.weight", []int{kv, d}}, weight{p + "self_attn.o_proj.weight", []int{d, q}},
			weight{p + "mlp.gate_proj.weight", []int{f, d}}, weight{p + "mlp.up_proj.weight",
				[]int{f, d}}, weight{p + "mlp.down_proj.weight", []int{d, f}})
		switch kind {
		case "gemma3_text", "qwen3":
			ws = append(ws, weight{p + "self_attn.q_norm.weight", []int{hd}}, weight{p + "self_attn.k_norm.weight", []int{hd}})
		}
		switch kind {
		case "gemma2", "gemma3_text":
			ws = append(ws, weight{p + "pre_feedforward_layernorm.weight", []int{d}},
				weight{p + "post_feedforward_layernorm.weight", []int{d}})
		case "qwen2":
			ws = append(ws, weight{p + "self_attn.q_proj.bias", []int{q}},
				weight{p + "self_attn.k_proj.bias", []int{kv}}, weight{p + "self_attn.v_proj.bias", []int{kv}})
		}
	}
	return ws
}

func neoxTensors(s *Shape) []weight {
	d, f, v := s.dim("hidden_size"), s.dim("intermediate_size"), s.dim("vocab_size")
	ws := []weight{{"gpt_neox.embed_in.weight", []int{v, d}}, {"embed_out.weight", []int{v, d}},
		{"gpt_neox.final_layer_norm.weight", []int{d}}, {"gpt_neox.final_layer_norm.bias", []int{d}}}
	for i := range s.Layers {
		p := fmt.Sprintf("gpt_neox.layers.%d.", i)
		for _, n := range []string{"input_layernorm", "post_attention_layernorm"} {
			ws = append(ws, weight{p + n + ".weight", []int{d}}, weight{p + n + ".bias", []int{d}})
		}
		ws = append(ws, affine(p+"attention.query_key_value", 3*d, d)...)
		ws = append(ws, affine(p+"attention.dense", d, d)...)
		ws = append(ws, affine(p+"mlp.dense_h_to_4h", f, d)...)
		ws = append(ws, affine(p+"mlp.dense_4h_to_h", d, f)...)
	}
	return ws
}

func affine(name string, n, k int) []weight {
	return []weight{{name + ".weight", []int{n, k}}, {name + ".bias", []int{n}}}
}

func m2m100Tensors(s *Shape) []weight {
	d, f := s.dim("d_model"), s.dim("encoder_ffn_dim")
	ws := []weight{{"model.shared.weight", []int{s.dim("vocab_size"), d}}}
	for _, stack := range []string{"encoder", "decoder"} {
		ws = append(ws, weight{"model." + stack + ".layer_norm.weight", []int{d}}, weight{"model." + stack + ".layer_norm.bias", []int{d}})
		attentions := []string{"self_attn"}
		if stack == "decoder" {
			attentions = append(attentions, "encoder_attn")
		}
		for i := range s.Layers {
			p := fmt.Sprintf("model.%s.layers.%d.", stack, i)
			for _, a := range attentions {
				ws = append(ws, weight{p + a + "_layer_norm.weight", []int{d}}, weight{p + a + "_layer_norm.bias", []int{d}})
				for _, part := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
					ws = append(ws, affine(p+a+"."+part, d, d)...)
				}
			}
			ws = append(ws, weight{p + "final_layer_norm.weight", []int{d}}, weight{p + "final_layer_norm.bias", []int{d}})
			ws = append(ws, affine(p+"fc1", f, d)...)
			ws = append(ws, affine(p+"fc2", d, f)...)
		}
	}
	return ws
}
