"""Tiny GPT-NeoX checkpoints, parallel and sequential residual, with goldens of inference and of LoRA.

    python reference/gptneox.py
"""

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

import golden

SEED = 40


def main():
    for name, parallel, seed in (("gptneox", True, SEED), ("gptneox-sequential", False, SEED + 1)):
        golden.start(seed)
        cfg = GPTNeoXConfig(
            vocab_size=288, hidden_size=64, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4, rotary_pct=0.25,
            max_position_embeddings=128, use_parallel_residual=parallel, hidden_act="gelu", bos_token_id=0, eos_token_id=0,
            attn_implementation="eager",
        )
        model = GPTNeoXForCausalLM(cfg).eval()
        golden.randomise(model, std=0.15)
        directory = golden.ROOT / name
        model.save_pretrained(directory)
        tensors, values = {}, {}
        seqs = golden.sequences(288, (1, 5, 8, 9, 24))
        golden.decoder_goldens(model, seqs, tensors, values)
        golden.lora_goldens(model, seqs, directory, seed + 5, golden.NEOX, tensors, values)
        golden.save(directory, "reference/gptneox.py", seed, tensors, values)


if __name__ == "__main__":
    main()
