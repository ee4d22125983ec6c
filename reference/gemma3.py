"""Tiny Gemma 3 checkpoints with goldens: norms of heads, two rotary bases of which one is scaled, windows, LoRA.
And one of a model that also reads images, whose language model is nested in its configuration and its names.

    python reference/gemma3.py
"""

import torch
from transformers import Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration, Gemma3TextConfig

import golden

SEED = 110
LENGTHS = (1, 5, 8, 9, 24)
SETTINGS = dict(
    vocab_size=320, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1,
    head_dim=16, query_pre_attn_scalar=20, sliding_window=7, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    rope_theta=1000000.0, rope_scaling={"rope_type": "linear", "factor": 8.0}, rope_local_base_freq=10000.0,
    max_position_embeddings=256, bos_token_id=2, eos_token_id=1, pad_token_id=0,
)


def config(**changes):
    return Gemma3TextConfig(**(SETTINGS | changes), attn_implementation="eager")


def ablate(model, ids):
    """How far each feature moves the logits: far more than any test tolerance."""
    base = model(torch.tensor([ids])).logits
    sizes = {}
    for name, change in {
        "sliding_window+1": dict(sliding_window=8), "rope_theta": dict(rope_theta=100000.0), "rope_scaling": dict(rope_scaling=None),
        "rope_local_base_freq": dict(rope_local_base_freq=5000.0), "layer_types": dict(layer_types=["sliding_attention"] * 3),
        "query_pre_attn_scalar": dict(query_pre_attn_scalar=16),
    }.items():
        other = Gemma3ForCausalLM(config(**change)).eval()
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([ids])).logits - base).abs().max().item()
    for name in ("q_norm", "k_norm"):
        norm = model.model.layers[1].self_attn.get_submodule(name).weight
        kept = norm.clone()
        norm.zero_()
        sizes[name] = (model(torch.tensor([ids])).logits - base).abs().max().item()
        norm.copy_(kept)
    return sizes


def main():
    golden.start(SEED)
    model = Gemma3ForCausalLM(config()).eval()
    golden.randomise(model)
    directory = golden.ROOT / "gemma3"
    model.save_pretrained(directory)
    seqs = golden.sequences(320, LENGTHS, first=2)
    tensors, values = {}, {}
    golden.decoder_goldens(model, seqs, tensors, values)
    with torch.no_grad():
        values["ablation"] = ablate(model, seqs[4])
    print("gemma3", values["ablation"])
    golden.lora_goldens(model, seqs, directory, SEED + 1, golden.GATED, tensors, values)
    golden.save(directory, "reference/gemma3.py", SEED, tensors, values)

    golden.start(SEED + 2)
    nested = SETTINGS | dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"])
    vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
    whole = Gemma3Config(text_config=nested, vision_config=vision, mm_tokens_per_image=4, image_token_index=319, boi_token_index=318,
                         eoi_token_index=317, attn_implementation="eager")
    model = Gemma3ForConditionalGeneration(whole).eval()
    golden.randomise(model)
    directory = golden.ROOT / "gemma3-images"
    model.save_pretrained(directory)
    seqs = [[min(t, 316) for t in s] for s in golden.sequences(320, LENGTHS, first=2)]
    tensors, values = {}, {}
    golden.decoder_goldens(model, seqs, tensors, values)
    golden.save(directory, "reference/gemma3.py", SEED + 2, tensors, values)


if __name__ == "__main__":
    main()
