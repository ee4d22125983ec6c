"""Writes testdata/configs: the settings of published models, one config.json for each shape.

    pip download --no-deps litgpt==0.5.13 && unzip litgpt-0.5.13-*.whl litgpt/config.py
    python reference/published_configs.py litgpt/config.py

The settings of the base models come from the table of litgpt (Apache-2.0), those marked so below
from other public sources; testdata/configs/models.tsv names the source of each. They are written here
in the layout of the models' own files, not copied from them. What litgpt does not say (ties, norms of
Gemma, layouts) follows transformers.
"""

import importlib.util
import json
import pathlib
import sys
import types

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "configs"


def litgpt(path):
    """Returns a function from a name to litgpt's settings."""
    sys.modules["litgpt"] = types.ModuleType("litgpt")
    spec = importlib.util.spec_from_file_location("litgpt.config", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["litgpt.config"] = module
    spec.loader.exec_module(module)
    table = {k.lower(): v for k, v in module.name_to_config.items()}
    return lambda name: module.Config(**table[name.lower()])


def common(c, architecture, kind, vocab=None):
    return {
        "architectures": [architecture], "model_type": kind, "torch_dtype": "bfloat16", "vocab_size": vocab or c.padded_vocab_size,
        "hidden_size": c.n_embd, "intermediate_size": c.intermediate_size, "num_hidden_layers": c.n_layer,
        "num_attention_heads": c.n_head, "num_key_value_heads": c.n_query_groups, "max_position_embeddings": c.block_size,
    }


def llama(c, tied=False, scaling=None, **more):
    return common(c, "LlamaForCausalLM", "llama") | {
        "hidden_act": "silu", "rms_norm_eps": c.norm_eps, "rope_theta": float(c.rope_base), "rope_scaling": scaling,
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": tied,
    } | more


def llama3(c, tied):
    a = c.rope_adjustments
    return llama(c, tied, {
        "factor": a["factor"], "low_freq_factor": a["low_freq_factor"], "high_freq_factor": a["high_freq_factor"],
        "original_max_position_embeddings": a["original_max_seq_len"], "rope_type": "llama3"}, head_dim=c.head_size)


def mistral(c, theta, window):
    return common(c, "MistralForCausalLM", "mistral") | {
        "hidden_act": "silu", "rms_norm_eps": c.norm_eps, "rope_theta": theta, "sliding_window": window, "tie_word_embeddings": False}


def qwen2(c, tied):
    return common(c, "Qwen2ForCausalLM", "qwen2") | {
        "hidden_act": "silu", "rms_norm_eps": c.norm_eps, "rope_theta": float(c.rope_base), "sliding_window": 32768,
        "use_sliding_window": False, "max_window_layers": c.n_layer, "tie_word_embeddings": tied}


def qwen3(c, tied):
    return common(c, "Qwen3ForCausalLM", "qwen3") | {
        "head_dim": c.head_size, "hidden_act": "silu", "rms_norm_eps": c.norm_eps, "rope_theta": float(c.rope_base),
        "rope_scaling": None, "attention_bias": False, "sliding_window": None, "use_sliding_window": False,
        "max_window_layers": c.n_layer, "tie_word_embeddings": tied}


def gemma2(c, vocab=None):
    return common(c, "Gemma2ForCausalLM", "gemma2", vocab) | {
        "head_dim": c.head_size, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0, "sliding_window": c.sliding_window_size, "query_pre_attn_scalar": c.attention_scores_scalar,
        "attn_logit_softcapping": c.attention_logit_softcapping, "final_logit_softcapping": c.final_logit_softcapping,
        "attention_bias": False}


def gemma3_text(c, architecture="Gemma3ForCausalLM"):
    return common(c, architecture, "gemma3_text") | {
        "head_dim": c.head_size, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0, "rope_scaling": None, "sliding_window": c.sliding_window_size, "sliding_window_pattern": 6,
        "query_pre_attn_scalar": c.attention_scores_scalar, "attn_logit_softcapping": None, "final_logit_softcapping": None,
        "attention_bias": False}


def gemma3(c, **more):
    """A model that also reads images. Its file leaves out what is the default of the class, as the published ones do."""
    text = {"model_type": "gemma3_text", "hidden_size": c.n_embd, "intermediate_size": c.intermediate_size,
            "num_hidden_layers": c.n_layer, "sliding_window": c.sliding_window_size,
            "rope_scaling": {"factor": c.rope_adjustments["factor"], "rope_type": "linear"}} | more
    return {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "torch_dtype": "bfloat16",
            "eos_token_id": [1, 106], "mm_tokens_per_image": 256, "text_config": text,
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27}}


def neox(c):
    out = common(c, "GPTNeoXForCausalLM", "gpt_neox")
    del out["num_key_value_heads"]
    return out | {"torch_dtype": "float16", "hidden_act": "gelu", "layer_norm_eps": c.norm_eps, "rotary_pct": c.rotary_percentage,
                  "rotary_emb_base": c.rope_base, "use_parallel_residual": c.parallel_residual, "tie_word_embeddings": False}


def nllb(d, layers, ffn):
    return {"architectures": ["M2M100ForConditionalGeneration"], "model_type": "m2m_100", "torch_dtype": "float32",
            "activation_function": "relu", "d_model": d, "encoder_layers": layers, "decoder_layers": layers, "encoder_ffn_dim": ffn,
            "decoder_ffn_dim": ffn, "encoder_attention_heads": 16, "decoder_attention_heads": 16, "is_encoder_decoder": True,
            "max_position_embeddings": 1024, "scale_embedding": True, "vocab_size": 256206, "pad_token_id": 1, "eos_token_id": 2,
            "decoder_start_token_id": 2, "tie_word_embeddings": True}


def plain_llama(vocab, hidden, inner, layers, heads, kv, **more):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": vocab,
            "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv, "hidden_act": "silu", "rms_norm_eps": 1e-05, "tie_word_embeddings": False} | more


def hunyuan(vocab, hidden, inner, layers, heads, kv, **more):
    return {"architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense", "torch_dtype": "bfloat16",
            "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": 128, "hidden_act": "silu", "rms_norm_eps": 1e-05,
            "rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0}, "use_qk_norm": True,
            "use_cla": False, "attention_bias": False, "max_position_embeddings": 32768} | more


def unsupported(architecture, kind):
    return {"architectures": [architecture], "model_type": kind}


def main():
    at = litgpt(sys.argv[1])
    configs = {
        "gemma-2-2b": gemma2(at("gemma-2-2b")), "gemma-2-9b": gemma2(at("gemma-2-9b")), "gemma-2-27b": gemma2(at("gemma-2-27b")),
        "fanar-1-9b": gemma2(at("gemma-2-9b"), 128256),
        "gemma-3-270m": gemma3_text(at("gemma-3-1b-it")) | {
            "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18, "max_position_embeddings": 32768},
        "gemma-3-1b": gemma3_text(at("gemma-3-1b-it")), "gemma-3-4b": gemma3(at("gemma-3-4b-it")),
        "gemma-3-4b-text": gemma3_text(at("gemma-3-4b-it")) | {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
        "gemma-3-12b": gemma3(at("gemma-3-12b-it"), num_attention_heads=16, num_key_value_heads=8),
        "gemma-3-27b": gemma3(at("gemma-3-27b-it"), num_attention_heads=32, num_key_value_heads=16, head_dim=128,
                              query_pre_attn_scalar=168),
        "qwen2.5-0.5b": qwen2(at("Qwen2.5-0.5B"), True), "qwen2.5-1.5b": qwen2(at("Qwen2.5-1.5B"), True),
        "qwen2.5-3b": qwen2(at("Qwen2.5-3B"), True), "qwen2.5-7b": qwen2(at("Qwen2.5-7B"), False),
        "qwen3-0.6b": qwen3(at("Qwen3-0.6B"), True), "qwen3-1.7b": qwen3(at("Qwen3-1.7B"), True), "qwen3-4b": qwen3(at("Qwen3-4B"), True),
        "qwen3-8b": qwen3(at("Qwen3-8B"), False), "qwen3-14b": qwen3(at("Qwen3-14B"), False), "qwen3-32b": qwen3(at("Qwen3-32B"), False),
        "llama-2-7b": llama(at("Llama-2-7b-hf")), "llama-2-13b": llama(at("Llama-2-13b-hf")),
        "llama-3.1-8b": llama3(at("Llama-3.1-8B"), False), "llama-3.2-1b": llama3(at("Llama-3.2-1B"), True),
        "llama-3.2-3b": llama3(at("Llama-3.2-3B"), True),
        "mistral-7b-v0.1": mistral(at("Mistral-7B-v0.1"), 10000.0, 4096),
        "mistral-7b-v0.3": mistral(at("Mistral-7B-v0.3"), 1000000.0, None),
        "smollm2-135m": llama(at("SmolLM2-135M"), True), "smollm2-360m": llama(at("SmolLM2-360M"), True),
        "smollm2-1.7b": llama(at("SmolLM2-1.7B"), True),
        "allam-7b": plain_llama(64000, 4096, 11008, 32, 32, 32, head_dim=128, rope_theta=1000000.0, max_position_embeddings=4096,
                                attention_bias=False, mlp_bias=False),
        "eurollm-1.7b": plain_llama(128000, 2048, 5632, 24, 16, 8, rope_theta=10000.0, max_position_embeddings=4096),
        "eurollm-9b": plain_llama(128000, 4096, 12288, 42, 32, 8, rope_theta=10000.0, max_position_embeddings=4096),
        "smollm3-3b": {"architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "torch_dtype": "bfloat16", "vocab_size": 128256,
                       "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
                       "num_key_value_heads": 4, "hidden_act": "silu", "rms_norm_eps": 1e-06, "rope_theta": 5000000.0,
                       "no_rope_layers": [int((i + 1) % 4 != 0) for i in range(36)], "no_rope_layer_interval": 4,
                       "use_sliding_window": False, "sliding_window": None, "max_position_embeddings": 65536},
        "hunyuan-1.8b": hunyuan(120818, 2048, 6144, 32, 16, 4, max_position_embeddings=262144, tie_word_embeddings=True),
        "hunyuan-mt-7b": hunyuan(128167, 4096, 14336, 32, 32, 8, max_position_embeddings=262144),
        "nllb-600m": nllb(1024, 12, 4096), "nllb-1.3b": nllb(1024, 24, 8192), "nllb-3.3b": nllb(2048, 24, 8192),
        "lfm2": unsupported("Lfm2ForCausalLM", "lfm2"), "jais": unsupported("JAISLMHeadModel", "jais"),
        "jais2": unsupported("Jais2ForCausalLM", "jais2"), "qwen3.5": unsupported("Qwen3_5ForConditionalGeneration", "qwen3_5"),
        "qwen3-moe": unsupported("Qwen3MoeForCausalLM", "qwen3_moe"), "falcon-h1": unsupported("FalconH1ForCausalLM", "falcon_h1"),
        "cohere2": unsupported("Cohere2ForCausalLM", "cohere2"), "gemma4": unsupported("Gemma4ForConditionalGeneration", "gemma4"),
        "t5": unsupported("T5ForConditionalGeneration", "t5"),
    }
    for size in ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"):
        configs[f"pythia-{size}"] = neox(at(f"pythia-{size}"))
    for name, config in configs.items():
        (OUT / f"{name}.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
