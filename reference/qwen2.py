"""A tiny Qwen2 checkpoint with goldens: biases on queries, keys and values, tied head.

    python reference/qwen2.py
"""

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

import golden

SEED = 90


def main():
    golden.start(SEED)
    cfg = Qwen2Config(
        vocab_size=272, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True, use_sliding_window=False,
        bos_token_id=0, eos_token_id=0, attn_implementation="eager",
    )
    model = Qwen2ForCausalLM(cfg).eval()
    golden.randomise(model)
    directory = golden.ROOT / "qwen2"
    model.save_pretrained(directory)
    seqs = golden.sequences(272, (1, 5, 8, 9, 24))
    tensors, values = {}, {}
    golden.decoder_goldens(model, seqs, tensors, values)
    with torch.no_grad():
        base, sizes = model(torch.tensor([seqs[4]])).logits, {}
        for name in ("q_proj", "k_proj", "v_proj"):
            bias = model.model.layers[1].self_attn.get_submodule(name).bias
            kept = bias.clone()
            bias.zero_()
            sizes[name + ".bias"] = (model(torch.tensor([seqs[4]])).logits - base).abs().max().item()
            bias.copy_(kept)
        values["ablation"] = sizes
    golden.save(directory, "reference/qwen2.py", SEED, tensors, values)
    print("qwen2", sizes)


if __name__ == "__main__":
    main()
