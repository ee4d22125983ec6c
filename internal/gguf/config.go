package gguf

import (
	"encoding/binary"
	"encoding/json"
	"math"

	"barka/internal/badinput"
)

// heads returns a number of attention heads, which must be that of every layer.
func (c *contents) heads(name string) (int, error) {
	n, err := c.uniform(name)
	if err == nil && (n < 1 || n > 1<<16) {
		err = badinput.Errorf("%s is %d, expected a number of heads", c.key(name), n)
	}
	return n, err
}

// uniform returns a whole number that may be listed per layer, if it is the
// same in all.
func (c *contents) uniform(name string) (int, error) {
	switch v := c.settings[c.key(name)].(type) {
	case int64:
		return int(v), nil
	case []int64:
		for _, n := range v {
			if n != v[0] {
				return 0, badinput.Errorf("%s differs between layers, which is not supported", c.key(name))
			}
		}
		if len(v) > 0 {
			return int(v[0]), nil
		}
	}
	return 0, badinput.Errorf("the setting %s is missing, or no whole number", c.key(name))
}

// config returns the settings as config.json has them.
func (c *contents) config(data []byte) ([]byte, error) {
	f, err := c.family()
	if err != nil {
		return nil, err
	}
	out := map[string]any{"architectures": []string{f.architecture}, "model_type": f.modelType}
	for key, name := range map[string]string{
		"hidden_size": "embedding_length", "num_hidden_layers": "block_count", "intermediate_size": "feed_forward_length",
		"num_attention_heads": "attention.head_count", "max_position_embeddings": "context_length",
	} {
		if out[key], err = c.uniform(name); err != nil {
			return nil, err
		}
	}
	out["num_key_value_heads"] = out["num_attention_heads"]
	if _, ok := c.settings[c.key("attention.head_count_kv")]; ok {
		if out["num_key_value_heads"], err = c.uniform("attention.head_count_kv"); err != nil {
			return nil, err
		}
	}
	embed, ok := c.tensors["token_embd.weight"]
	if !ok {
		return nil, badinput.Errorf("the tensor token_embd.weight is missing")
	}
	out["vocab_size"] = embed.rows()
	_, head := c.tensors["output.weight"]
	out["tie_word_embeddings"] = !head
	_, out["attention_bias"] = c.tensors["blk.0.attn_q.bias"]
	_, out["mlp_bias"] = c.tensors["blk.0.ffn_gate.bias"]
	out["torch_dtype"] = "bfloat16"
	if embed.dtype == "F32" {
		out["torch_dtype"] = "float32"
	}
	c.copyNumbers(out)
	if err := c.rope(out, data); err != nil {
		return nil, err
	}
	c.ends(out)
	return json.Marshal(out)
}

// copyNumbers copies settings that a file may lack.
func (c *contents) copyNumbers(out map[string]any) {
	for key, name := range map[string]string{
		"rms_norm_eps": "attention.layer_norm_rms_epsilon", "sliding_window": "attention.sliding_window", "rope_theta": "rope.freq_base",
		"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping",
	} {
		if v, ok := c.number(c.key(name)); ok {
			out[key] = short(v)
		}
	}
	if n, ok := c.number(c.key("attention.key_length")); ok {
		out["head_dim"] = int(n)
	} else if n, ok := c.number(c.key("rope.dimension_count")); ok {
		out["head_dim"] = int(n)
	}
	layers, _ := out["num_hidden_layers"].(int)
	switch c.architecture() {
	case "gemma2", "gemma3":
		out["hidden_activation"] = "gelu_pytorch_tanh"
		scale, _ := out["head_dim"].(int)
		// The largest model of each generation scales otherwise. No setting says so;
		// llama.cpp knows it by the number of layers.
		if heads, _ := out["num_attention_heads"].(int); heads > 0 &&
			(c.architecture() == "gemma2" && layers == 46 || c.architecture() == "gemma3" && layers == 62) {
			scale = out["hidden_size"].(int) / heads
		}
		out["query_pre_attn_scalar"] = scale
	default:
		out["hidden_act"] = "silu"
		delete(out, "sliding_window")
		// Files of Mistral say llama. The window tells them apart.
		if n, ok := c.number(c.key("attention.sliding_window")); ok && c.architecture() == "llama" {
			out["architectures"], out["model_type"], out["sliding_window"] = []string{"MistralForCausalLM"}, "mistral", int(n)
		}
	}
}

// short returns a number that is written with the digits of a float32, which is
// how files hold most of them: 1e-6 and not 9.99999997e-7.
func short(v float64) any {
	if f := float32(v); float64(f) == v {
		return f
	}
	return v
}

// rope adds what scales the rotary frequencies.
func (c *contents) rope(out map[string]any, data []byte) error {
	if e, ok := c.tensors[ropeFactors]; ok {
		if e.dtype != "F32" || len(e.shape) != 1 {
			return badinput.Errorf("tensor %s has the type %s and the shape %v, expected a vector of F32", ropeFactors, e.dtype, e.shape)
		}
		factors := make([]float64, e.shape[0])
		for i := range factors {
			factors[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[e.begin+4*i:])))
		}
		out["rope_scaling"] = map[string]any{"rope_type": "factors", "factors": factors}
		return nil
	}
	kind := c.text(c.key("rope.scaling.type"))
	factor, _ := c.number(c.key("rope.scaling.factor"))
	switch {
	case kind == "linear" && factor != 0:
		out["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": factor}
	case kind == "" || kind == "none":
	default:
		return badinput.Errorf("%s is %q, which is not supported; supported: none, linear", c.key("rope.scaling.type"), kind)
	}
	return nil
}

// ends adds the tokens that begin and end a text.
func (c *contents) ends(out map[string]any) {
	for key, name := range map[string]string{"bos_token_id": "bos_token_id", "eos_token_id": "eos_token_id",
		"pad_token_id": "padding_token_id"} {
		if n, ok := c.settings["tokenizer.ggml."+name].(int64); ok {
			out[key] = n
		}
	}
}

// generation returns generation_config.json: a turn's end ends a text too.
func (c *contents) generation() ([]byte, error) {
	out := map[string]any{}
	c.ends(out)
	eos, _ := out["eos_token_id"].(int64)
	if n, ok := c.settings["tokenizer.ggml.eot_token_id"].(int64); ok && n != eos {
		out["eos_token_id"] = []int64{eos, n}
	}
	return json.Marshal(out)
}
