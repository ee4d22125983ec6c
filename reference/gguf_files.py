"""Small GGUF files with goldens: a Llama whose matrices are of every type that is read, and checkpoints of testdata/models
under the names and the order of rows that llama.cpp gives them.

    python reference/gguf_files.py          needs the package gguf 0.18.0

The names come from the package gguf, values of blocks from its dequantisation, the order of rows and the logits from transformers.
"""

import hashlib
import json

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

import golden

OUT = golden.ROOT.parent / "gguf"
Q = gguf.GGMLQuantizationType
RNG = np.random.default_rng(7)


def vocabulary(writer, n):
    """A byte-level tokenizer: the 256 bytes of GPT-2's alphabet as far as they go, two merges, control tokens."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [b for b in range(256) if b not in printable]
    alphabet = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
    tokens = ["<|begin|>", "<|end|>", "<tool>"] + [alphabet[b] for b in range(256)] + ["th", "the"]
    tokens = (tokens + [f"<unused{i}>" for i in range(n)])[:n]
    kinds = [gguf.TokenType.CONTROL, gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED] + [gguf.TokenType.NORMAL] * (n - 3)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h", "th e"] if n > 260 else ["! !"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")


def shape(writer, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    base = config.rope_theta
    if (config.rope_scaling or {}).get("alpha"):  # of Hunyuan: llama.cpp's converter puts alpha into the base
        base *= config.rope_scaling["alpha"] ** (head / (head - 2))
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        writer.add_rope_scaling_factor(1)
    writer.add_rope_freq_base(base)
    writer.add_key_length(head)
    writer.add_rope_dimension_count(head)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def blocks(kind, rows, cols):
    """Blocks of random integers with scales of usual size; the package cannot quantise to these types."""
    size, bytes_ = gguf.GGML_QUANT_SIZES[kind]
    data = RNG.integers(0, 256, (rows, cols // size, bytes_), dtype=np.uint8)
    for at in {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}[kind]:
        scale = 0.002 if kind in (Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.Q8_0) else 0.02
        scales = RNG.normal(0, scale / (16 if kind == Q.Q6_K else 1), (rows, cols // size, 1))
        data[..., at:at + 2] = scales.astype(np.float16).view(np.uint8)
    return data.reshape(rows, -1)


def types():
    """A Llama with a tensor of each type and the rotary factors of Llama 3.1."""
    config = LlamaConfig(vocab_size=48, hidden_size=256, intermediate_size=256, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2,
                         head_dim=8, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False,
                         rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                       "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
                         attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    shape(writer, config)
    vocabulary(writer, config.vocab_size)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    kinds = {"embed_tokens": Q.Q8_0, "0.self_attn.q_proj": Q.Q4_0, "0.self_attn.k_proj": Q.Q4_1,
             "0.self_attn.v_proj": Q.Q5_0, "0.mlp.gate_proj": Q.Q4_K, "0.mlp.up_proj": Q.Q5_K,
             "0.mlp.down_proj": Q.Q6_K, "1.self_attn.q_proj": Q.Q8_0, "1.self_attn.k_proj": Q.F16, "1.self_attn.v_proj": Q.Q6_K,
             "1.mlp.gate_proj": Q.Q4_0, "1.mlp.up_proj": Q.Q5_1, "1.mlp.down_proj": Q.Q4_1, "lm_head": Q.Q5_1, "o_proj": Q.BF16}
    processor, tensors = LlamaTensorProcessor({"num_attention_heads": 4, "num_key_value_heads": 2}), {}
    for name, p in model.state_dict().items():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        kind = next((k for part, k in kinds.items() if part in name), Q.F32)
        if kind in (Q.F32, Q.F16, Q.BF16):
            values = RNG.normal(1 if "norm" in name else 0, 0.05, tuple(p.shape)).astype(np.float32)
            if kind == Q.BF16:
                writer.add_tensor(stored, gguf.quantize(values, kind), raw_dtype=kind)
                values = gguf.dequantize(gguf.quantize(values, kind), kind)
            elif kind == Q.F16:
                writer.add_tensor(stored, values.astype(np.float16))
                values = values.astype(np.float16).astype(np.float32)
            else:
                writer.add_tensor(stored, values)
        else:
            data = blocks(kind, *p.shape)
            writer.add_tensor(stored, data, raw_dtype=kind)
            values = gguf.dequantize(data, kind)
        tensors[name] = torch.from_numpy(np.ascontiguousarray(processor.process(values, stored).weights))
    inv = model.model.rotary_emb.inv_freq.double()
    plain = 1.0 / (500000.0 ** (torch.arange(0, 8, 2).float() / 8)).double()
    writer.add_tensor("rope_freqs.weight", (plain / inv).float().numpy())
    close(writer)
    model.load_state_dict(tensors)
    ids = [1, 5, 40, 7, 7, 30, 2, 9, 11, 22, 33, 44]
    with torch.no_grad():
        tensors["logits"] = model(torch.tensor([ids])).logits[0]
    digests = {k: hashlib.sha256(v.numpy().tobytes()).hexdigest() for k, v in tensors.items() if k != "logits"}
    (OUT / "types.json").write_text(json.dumps({
        "provenance": {"script": "reference/gguf_files.py", "gguf": "0.18.0", "transformers": transformers.__version__},
        "sha256": digests, "ids": ids, "logits": tensors["logits"].double().flatten().tolist()}, indent=1) + "\n")


def pairs(weight, heads):
    """The order of rows that llama.cpp gives to queries and keys of Llama: the inverse of what transformers undoes."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def checkpoint(name, arch):
    """A checkpoint of testdata/models as a file of 32-bit floats."""
    directory = golden.ROOT / name
    model = AutoModelForCausalLM.from_pretrained(directory)
    config = model.config
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", gguf.MODEL_ARCH_NAMES[arch])
    shape(writer, config)
    vocabulary(writer, config.vocab_size)
    if arch == gguf.MODEL_ARCH.GEMMA3:
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_scaling["factor"])
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for key, p in load_file(directory / "model.safetensors").items():
        w, stored = p.float().numpy(), names.get_name(key, try_suffixes=(".weight", ".bias"))
        if arch == gguf.MODEL_ARCH.GEMMA3 and "norm" in key:
            w = w + 1
        if arch in (gguf.MODEL_ARCH.LLAMA, gguf.MODEL_ARCH.SMOLLM3) and ("q_proj" in key or "k_proj" in key):
            w = pairs(w, config.num_attention_heads if "q_proj" in key else config.num_key_value_heads)
        writer.add_tensor(stored, np.ascontiguousarray(w))
    close(writer)


def main():
    golden.start(7)
    OUT.mkdir(parents=True, exist_ok=True)
    types()
    for name, arch in (("gemma3", gguf.MODEL_ARCH.GEMMA3), ("qwen3", gguf.MODEL_ARCH.QWEN3), ("smollm3", gguf.MODEL_ARCH.SMOLLM3),
                       ("hunyuan", gguf.MODEL_ARCH.HUNYUAN_DENSE)):
        checkpoint(name, arch)


if __name__ == "__main__":
    main()
