"""Tiny Qwen3 checkpoints with goldens: norms of heads before the rotation, a head width of its own, LoRA; one with its
own head whose upper layer slides. And one of Hunyuan dense, whose norms follow the rotation and whose base alpha stretches.

    python reference/qwen3.py
"""

import torch
from transformers import HunYuanDenseV1Config, HunYuanDenseV1ForCausalLM, Qwen3Config, Qwen3ForCausalLM

import golden

SEED = 120
SHAPE = dict(
    vocab_size=272, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=20,
    max_position_embeddings=512, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True,
    bos_token_id=0, eos_token_id=0, pad_token_id=0, attn_implementation="eager",
)
WINDOW = dict(tie_word_embeddings=False, use_sliding_window=True, sliding_window=6, max_window_layers=1, attention_bias=True)
ALPHA = dict(tie_word_embeddings=False, rope_theta=10000.0, rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0})


def qwen(**changes):
    return Qwen3ForCausalLM(Qwen3Config(**(SHAPE | changes))).eval()


def hunyuan(**changes):
    return HunYuanDenseV1ForCausalLM(HunYuanDenseV1Config(**(SHAPE | changes))).eval()


def ablate(make, model, settings, ids, changes, norms):
    """How far each feature moves the logits."""
    base, sizes = model(torch.tensor([ids])).logits, {}
    for name, change in changes.items():
        other = make(**(settings | change))
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([ids])).logits - base).abs().max().item()
    for name in norms:
        norm = model.model.layers[1].self_attn.get_submodule(name).weight
        kept = norm.clone()
        norm.fill_(1.0)
        sizes[name] = (model(torch.tensor([ids])).logits - base).abs().max().item()
        norm.copy_(kept)
    return sizes


def main():
    windows = {"sliding_window+1": dict(sliding_window=7), "max_window_layers": dict(max_window_layers=0),
               "use_sliding_window": dict(use_sliding_window=False)}
    alphas = {"alpha": dict(rope_scaling={"type": "dynamic", "alpha": 900.0, "factor": 1.0})}
    for name, seed, make, settings, changes, norms in (
        ("qwen3", SEED, qwen, {}, {"rope_theta": dict(rope_theta=500000.0)}, ("q_norm", "k_norm")),
        ("qwen3-window", SEED + 1, qwen, WINDOW, windows, ("q_norm", "k_norm")),
        ("hunyuan", SEED + 2, hunyuan, ALPHA, alphas, ("query_layernorm", "key_layernorm")),
    ):
        golden.start(seed)
        model = make(**settings)
        golden.randomise(model)
        directory = golden.ROOT / name
        model.save_pretrained(directory)
        seqs = golden.sequences(272, (1, 5, 8, 9, 24))
        tensors, values = {}, {}
        golden.decoder_goldens(model, seqs, tensors, values)
        with torch.no_grad():
            values["ablation"] = ablate(make, model, settings, seqs[4], changes, norms)
        if name != "qwen3-window":
            golden.lora_goldens(model, seqs, directory, seed + 5, golden.GATED, tensors, values)
        golden.save(directory, "reference/qwen3.py", seed, tensors, values)
        print(name, values["ablation"])


if __name__ == "__main__":
    main()
