"""Tiny Llama-3 checkpoints with goldens: scaled rotary frequencies, grouped queries, untied and tied head, LoRA.
And Mistral, which has a sliding window.

    python reference/llama.py
"""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

import golden

SEED = 80


def config(**changes):
    settings = dict(
        vocab_size=272, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=10000.0, bos_token_id=1, eos_token_id=2, pad_token_id=None,
        # Of the eight frequencies some stay, some are divided and two lie between.
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 64},
        attn_implementation="eager",
    )
    return LlamaConfig(**(settings | changes))


def ablate(model, ids):
    """How far each feature moves the logits: far more than any test tolerance."""
    base = model(torch.tensor([ids])).logits
    sizes = {}
    scaling = dict(model.config.rope_scaling)
    for name, change in {
        "rope_scaling": dict(rope_scaling=None), "factor": dict(rope_scaling=scaling | {"factor": 7.0}),
        "high_freq_factor": dict(rope_scaling=scaling | {"high_freq_factor": 5.0}),
        "rope_theta": dict(rope_theta=model.config.rope_theta * 1.01),
        "rms_norm_eps": dict(rms_norm_eps=1e-2),
    }.items():
        settings = {k: getattr(model.config, k)
                    for k in ("rope_theta", "rope_scaling", "tie_word_embeddings", "attention_bias", "mlp_bias")}
        other = LlamaForCausalLM(config(**(settings | change))).eval()
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([ids])).logits - base).abs().max().item()
    return sizes


def frequencies():
    """The rotary frequencies of real models: Llama 2, 3, 3.1 8B, 3.2 1B, Qwen2.5 0.5B, and one scaled linearly."""
    llama3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    cases = []
    for dim, theta, scaling in (
        (128, 10000.0, None), (128, 500000.0, None), (128, 500000.0, llama3 | {"factor": 8.0}), (64, 500000.0, llama3 | {"factor": 32.0}),
        (64, 1000000.0, None), (96, 10000.0, {"rope_type": "linear", "factor": 4.0}),
    ):
        rotary = LlamaRotaryEmbedding(LlamaConfig(head_dim=dim, rope_theta=theta, rope_scaling=scaling, max_position_embeddings=131072))
        cases.append({"dim": dim, "rope_theta": theta, "rope_scaling": scaling, "frequencies": rotary.inv_freq.tolist()})
    return cases


def main():
    for name, seed, changes in (
        ("llama", SEED, dict(tie_word_embeddings=False)),
        ("llama-tied", SEED + 1, dict(tie_word_embeddings=True, rope_theta=500000.0)),
    ):
        golden.start(seed)
        model = LlamaForCausalLM(config(**changes)).eval()
        golden.randomise(model)
        directory = golden.ROOT / name
        model.save_pretrained(directory)
        seqs = golden.sequences(272, (1, 5, 8, 9, 24), first=1)
        tensors, values = {}, {}
        golden.decoder_goldens(model, seqs, tensors, values)
        with torch.no_grad():
            values["ablation"] = ablate(model, seqs[4])
        if name == "llama":
            values["rope"] = frequencies()
            golden.lora_goldens(model, seqs, directory, seed + 5, golden.GATED, tensors, values)
        golden.save(directory, "reference/llama.py", seed, tensors, values)
        print(name, values["ablation"])
    mistral(SEED + 2)


def mistral(seed):
    """Mistral 7B's features: every layer slides, no scaled frequencies, head width left to be derived."""
    golden.start(seed)
    settings = dict(
        vocab_size=272, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, rms_norm_eps=1e-5, rope_theta=10000.0, bos_token_id=1, eos_token_id=2, attn_implementation="eager",
    )
    model = MistralForCausalLM(MistralConfig(**settings, sliding_window=8)).eval()
    golden.randomise(model)
    directory = golden.ROOT / "mistral"
    model.save_pretrained(directory)
    seqs = golden.sequences(272, (1, 5, 8, 9, 24), first=1)
    tensors, values = {}, {}
    golden.decoder_goldens(model, seqs, tensors, values)
    with torch.no_grad():
        base, sizes = model(torch.tensor([seqs[4]])).logits, {}
        for name, window in {"sliding_window+1": 9, "sliding_window": None}.items():
            other = MistralForCausalLM(MistralConfig(**settings, sliding_window=window)).eval()
            other.load_state_dict(model.state_dict())
            sizes[name] = (other(torch.tensor([seqs[4]])).logits - base).abs().max().item()
        values["ablation"] = sizes
    golden.save(directory, "reference/llama.py", seed, tensors, values)
    print("mistral", sizes)


if __name__ == "__main__":
    main()
