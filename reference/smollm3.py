"""A tiny SmolLM3 checkpoint with goldens: a layer without rotary positions, LoRA.

    python reference/smollm3.py
"""

import torch
from transformers import SmolLM3Config, SmolLM3ForCausalLM

import golden

SEED = 130
SHAPE = dict(
    vocab_size=272, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=512, no_rope_layer_interval=3, use_sliding_window=True, sliding_window=7, tie_word_embeddings=True,
    bos_token_id=0, eos_token_id=0, pad_token_id=0, attn_implementation="eager",
)


def make(**changes):
    return SmolLM3ForCausalLM(SmolLM3Config(**(SHAPE | changes))).eval()


def main():
    golden.start(SEED)
    model = make()
    golden.randomise(model)
    directory = golden.ROOT / "smollm3"
    model.save_pretrained(directory)
    seqs = golden.sequences(272, (1, 5, 8, 9, 24))
    tensors, values = {}, {}
    golden.decoder_goldens(model, seqs, tensors, values)
    base, sizes = model(torch.tensor([seqs[4]])).logits, values.setdefault("ablation", {})
    for name, change in {"no_rope_layers": dict(no_rope_layers=[1, 1, 1]),
                         "sliding_window+1": dict(sliding_window=8), "rope_theta": dict(rope_theta=1.9e6)}.items():
        other = make(**change)
        if name == "no_rope_layers":
            other = make(no_rope_layers=[1, 1, 1], layer_types=model.config.layer_types)
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([seqs[4]])).logits - base).abs().max().item()
    print("smollm3", sizes)
    golden.lora_goldens(model, seqs, directory, SEED + 5, golden.GATED, tensors, values)
    golden.save(directory, "reference/smollm3.py", SEED, tensors, values)


if __name__ == "__main__":
    main()
