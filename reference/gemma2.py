"""Tiny Gemma-2 checkpoints with goldens: logits, loss, LoRA gradients, ten AdamW steps, merge.

    python reference/gemma2.py
"""

import copy
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import Gemma2Config, Gemma2ForCausalLM, get_cosine_schedule_with_warmup

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
        "sliding_window+1": dict(sliding_window=9), "rope_theta": dict(rope_theta=10100.0), "query_pre_attn_scalar": dict(query_pre_attn_scalar=16),
    }.items():
        other = Gemma2ForCausalLM(config(**change)).eval()
        other.load_state_dict(model.state_dict())
        sizes[name] = (other(torch.tensor([ids])).logits - base).abs().max().item()
    return sizes


def loss_sum(model, ids, mask):
    logits = model(torch.tensor([ids])).logits[0].float()
    logp = torch.log_softmax(logits, -1)
    terms = [-logp[j - 1, ids[j]] for j in range(1, len(ids)) if mask[j]]
    return torch.stack(terms).sum() if terms else logits.sum() * 0


def lora(model, seqs, masks, directory, tensors, values):
    torch.manual_seed(SEED + 1)
    cfg = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM",
                     target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    pm = get_peft_model(copy.deepcopy(model), cfg)
    with torch.no_grad():
        for n, p in pm.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.1)
    pm.save_pretrained(directory / "adapter")
    trained = sum(sum(m[1:]) for m in masks)
    loss = sum(loss_sum(pm, s, m) for s, m in zip(seqs, masks)) / trained
    loss.backward()
    values["lora_loss"], values["trained_tokens"] = loss.item(), trained
    for n, p in pm.named_parameters():
        if "lora_" in n:
            tensors["grad." + n.replace(".default", "")] = p.grad
    merged = copy.deepcopy(pm).merge_and_unload().eval()
    with torch.no_grad():
        for i in (1, 4):
            tensors[f"adapter_logits.{i}"] = pm(torch.tensor([seqs[i]])).logits[0]
            tensors[f"merged_logits.{i}"] = merged(torch.tensor([seqs[i]])).logits[0]
    steps(pm, seqs, masks, tensors, values)


def steps(pm, seqs, masks, tensors, values):
    """Ten optimiser steps; each accumulates two micro-batches under the global token mean."""
    pm.zero_grad()
    params = [p for n, p in pm.named_parameters() if "lora_" in n]
    opt = torch.optim.AdamW(params, lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = get_cosine_schedule_with_warmup(opt, 2, 10)
    values["steps"] = []
    for step in range(10):
        batches = [[1, 2], [3, 4]] if step % 2 == 0 else [[4], [2, 3]]
        trained = sum(sum(masks[i][1:]) for b in batches for i in b)
        total = 0.0
        for b in batches:
            loss = sum(loss_sum(pm, seqs[i], masks[i]) for i in b) / trained
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(params, 1.0).item()
        lr = schedule.get_last_lr()[0]
        opt.step()
        schedule.step()
        opt.zero_grad()
        values["steps"].append({"batches": batches, "loss": total, "grad_norm": norm, "lr": lr})
    for n, p in pm.named_parameters():
        if "lora_" in n:
            tensors["trained." + n.replace(".default", "")] = p


def main():
    golden.start(SEED)
    model = Gemma2ForCausalLM(config()).eval()
    golden.randomise(model)
    directory = golden.ROOT / "gemma2"
    model.save_pretrained(directory)
    seqs = golden.sequences(320, LENGTHS, first=2)
    masks = [[int(j >= len(s) // 2) for j in range(len(s))] for s in seqs]
    tensors, values = {}, {"masks": masks}
    golden.decoder_goldens(model, seqs, tensors, values)
    with torch.no_grad():
        values["losses"] = [loss_sum(model, s, m).item() for s, m in zip(seqs, masks)]
        values["ablation"] = ablate(model, seqs[4])
    lora(model, seqs, masks, directory, tensors, values)
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
