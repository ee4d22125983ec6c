"""Tiny Qwen2 checkpoints with goldens: biases on queries, keys and values, tied head, LoRA.
And one with its own head whose upper layer slides.

    python reference/qwen2.py
"""

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

import golden

SEED = 90


def config(**changes):
    settings = dict(
        vocab_size=272, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True, use_sliding_window=False,
        bos_token_id=0, eos_token_id=0, attn_implementation="eager",
    )
    return Qwen2Config(**(settings | changes))


def without_biases(model, ids):
    """How far the biases of the second layer move the logits."""
    base, sizes = model(torch.tensor([ids])).logits, {}
    for name in ("q_proj", "k_proj", "v_proj"):
        bias = model.model.layers[1].self_attn.get_submodule(name).bias
        kept = bias.clone()
        bias.zero_()
        sizes[name + ".bias"] = (model(torch.tensor([ids])).logits - base).abs().max().item()
        bias.copy_(kept)
    return sizes


def without_window(model, ids):
    """How far the window of the second layer moves them."""
    base, sizes = model(torch.tensor([ids])).logits, {}
    windows = {"sliding_window+1": dict(sliding_window=7), "max_window_layers": dict(max_window_layers=0),
               "use_sliding_window": dict(use_sliding_window=False)}
    for name, change in windows.items():
        other = Qwen2ForCausalLM(config(**(WINDOW | change))).eval()
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([ids])).logits - base).abs().max().item()
    return sizes


WINDOW = dict(tie_word_embeddings=False, use_sliding_window=True, sliding_window=6, max_window_layers=1)


def main():
    for name, seed, changes, ablate in (("qwen2", SEED, {}, without_biases), ("qwen2-window", SEED + 1, WINDOW, without_window)):
        golden.start(seed)
        model = Qwen2ForCausalLM(config(**changes)).eval()
        golden.randomise(model)
        directory = golden.ROOT / name
        model.save_pretrained(directory)
        seqs = golden.sequences(272, (1, 5, 8, 9, 24))
        tensors, values = {}, {}
        golden.decoder_goldens(model, seqs, tensors, values)
        with torch.no_grad():
            values["ablation"] = ablate(model, seqs[4])
        if name == "qwen2":
            golden.lora_goldens(model, seqs, directory, seed + 5, golden.GATED, tensors, values)
        golden.save(directory, "reference/qwen2.py", seed, tensors, values)
        print(name, values["ablation"])


if __name__ == "__main__":
    main()
