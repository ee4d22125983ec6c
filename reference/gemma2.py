"""Tiny Gemma-2 checkpoints with goldens: logits, loss, LoRA gradients, ten AdamW steps, merge.

    python reference/gemma2.py
"""

import sys

import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

import golden

SEED = 20
LENGTHS = (1, 5, 8, 9, 24)


def config(**changes):
    settings = dict(
        vocab_size=320, hidden_size=48, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=20, sliding_window=8, attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0, max_position_embeddings=256, bos_token_id=2, eos_token_id=1, pad_token_id=0,
        attn_implementation="eager",
    )
    return Gemma2Config(**(settings | changes))


def ablate(model, ids):
    """How far each feature moves the logits: far more than any test tolerance."""
    base = model(torch.tensor([ids])).logits
    sizes = {}
    for name, change in {
        "attn_logit_softcapping": dict(attn_logit_softcapping=50.0), "final_logit_softcapping": dict(final_logit_softcapping=30.0),
        "sliding_window+1": dict(sliding_window=9), "rope_theta": dict(rope_theta=10100.0),
        "query_pre_attn_scalar": dict(query_pre_attn_scalar=16),
    }.items():
        other = Gemma2ForCausalLM(config(**change)).eval()
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([ids])).logits - base).abs().max().item()
    return sizes


def main():
    golden.start(SEED)
    model = Gemma2ForCausalLM(config()).eval()
    golden.randomise(model)
    directory = golden.ROOT / "gemma2"
    model.save_pretrained(directory)
    seqs = golden.sequences(320, LENGTHS, first=2)
    tensors, values = {}, {}
    golden.decoder_goldens(model, seqs, tensors, values)
    with torch.no_grad():
        values["ablation"] = ablate(model, seqs[4])
    golden.lora_goldens(model, seqs, directory, SEED + 1, golden.GATED, tensors, values)
    golden.save(directory, "reference/gemma2.py", SEED, tensors, values)

    # The shipped caps and a bfloat16 checkpoint in two shards; goldens in both types.
    golden.start(SEED + 2)
    model = Gemma2ForCausalLM(config(attn_logit_softcapping=50.0, final_logit_softcapping=30.0, num_hidden_layers=2)).eval()
    golden.randomise(model)
    model = model.to(torch.bfloat16)
    directory = golden.ROOT / "gemma2-bf16"
    model.save_pretrained(directory, max_shard_size="60KB")
    tensors, values = {}, {}
    half = {}
    # Loaded, not converted: converting would round the rotary frequencies too.
    load = lambda dtype: Gemma2ForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager")
    golden.decoder_goldens(load(torch.bfloat16), seqs, half, {})
    golden.decoder_goldens(load(torch.float32), seqs, tensors, values)
    tensors |= {"bf16." + k: v for k, v in half.items()}
    golden.save(directory, "reference/gemma2.py", SEED + 2, tensors, values)


if __name__ == "__main__":
    sys.exit(main())
