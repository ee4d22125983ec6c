"""Shared by the golden writers: where files go and how they are stored."""

import copy
import json
import os
import pathlib

import peft
import torch
import transformers
from safetensors.torch import save_file

# verify.py sets BARKA_GOLDENS to write elsewhere.
ROOT = pathlib.Path(os.environ.get("BARKA_GOLDENS") or pathlib.Path(__file__).resolve().parent.parent / "testdata" / "models")


def start(seed):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()


def randomise(model, std=0.12):
    """Spread the weights so that caps, windows, biases and norms matter."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.5 if "norm" in name else std
            base = 1.0 if "norm" in name and name.endswith("weight") and "Gemma" not in type(model).__name__ else 0.0
            p.copy_(base + torch.randn_like(p) * scale)


def save(directory, script, seed, tensors, values):
    directory.mkdir(parents=True, exist_ok=True)
    values["provenance"] = {
        "script": script, "seed": seed, "torch": torch.__version__,
        "transformers": transformers.__version__, "peft": peft.__version__,
    }
    save_file({k: v.detach().contiguous().float() for k, v in tensors.items()}, directory / "golden.safetensors")
    (directory / "golden.json").write_text(json.dumps(values, indent=1) + "\n")


def sequences(vocab, lengths, first=None):
    out = []
    for n in lengths:
        ids = torch.randint(4, vocab, (n,)).tolist()
        if first is not None:
            ids[0] = first
        out.append(ids)
    return out


def decoder_goldens(model, seqs, tensors, values):
    """Each sequence runs alone: logits and final hidden states, greedy text, log-likelihoods."""
    model.eval()
    with torch.no_grad():
        for i, ids in enumerate(seqs):
            out = model(torch.tensor([ids]), output_hidden_states=True)
            tensors[f"logits.{i}"] = out.logits[0]
            tensors[f"hidden.{i}"] = out.hidden_states[-1][0]
        values["sequences"] = seqs
        values["greedy"] = []
        for prompt in (seqs[1], seqs[3]):
            out = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, return_dict_in_generate=True,
                                 output_logits=True, eos_token_id=None, pad_token_id=0)
            new = out.sequences[0][len(prompt):].tolist()
            logp = [torch.log_softmax(l[0].float(), -1)[t].item() for l, t in zip(out.logits, new)]
            values["greedy"].append({"prompt": prompt, "tokens": new, "logprobs": logp})
        values["loglikelihoods"] = []
        for ids in seqs[2:]:
            for cut in (1, len(ids) // 2, len(ids) - 1):
                logp = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1)
                per = [logp[j - 1, ids[j]].item() for j in range(cut, len(ids))]
                greedy = all(logp[j - 1].argmax().item() == ids[j] for j in range(cut, len(ids)))
                values["loglikelihoods"].append({"context": ids[:cut], "continuation": ids[cut:], "logprobs": per, "greedy": greedy})
            # A continuation that is greedy by construction.
        g = values["greedy"][0]
        values["loglikelihoods"].append({"context": g["prompt"], "continuation": g["tokens"][:5],
                                         "logprobs": g["logprobs"][:5], "greedy": True})


# The linear layers of a block: of Gemma 2, Llama and Qwen2, and of GPT-NeoX.
GATED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
NEOX = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]


def loss_sum(model, ids, mask):
    logits = model(torch.tensor([ids])).logits[0].float()
    logp = torch.log_softmax(logits, -1)
    terms = [-logp[j - 1, ids[j]] for j in range(1, len(ids)) if mask[j]]
    return torch.stack(terms).sum() if terms else logits.sum() * 0


def lora_goldens(model, seqs, directory, seed, targets, tensors, values):
    """A LoRA run of peft on the second half of each sequence: loss, every gradient, merged logits, ten AdamW steps."""
    masks = values["masks"] = [[int(j >= len(s) // 2) for j in range(len(s))] for s in seqs]
    with torch.no_grad():
        values["losses"] = [loss_sum(model, s, m).item() for s, m in zip(seqs, masks)]
    torch.manual_seed(seed)
    cfg = peft.LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM", target_modules=targets)
    pm = peft.get_peft_model(copy.deepcopy(model), cfg)
    with torch.no_grad():
        for n, p in pm.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.1)
    pm.save_pretrained(directory / "adapter")
    (directory / "adapter" / "README.md").unlink()  # a model card to fill in
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


def steps(pm, seqs, masks, tensors, values, count=10, rate=1e-2, warmup=2):
    """Optimiser steps; each accumulates two micro-batches under the global token mean."""
    pm.zero_grad()
    params = [p for n, p in pm.named_parameters() if "lora_" in n or "modules_to_save" in n]
    opt = torch.optim.AdamW(params, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = transformers.get_cosine_schedule_with_warmup(opt, warmup, count)
    values["steps"] = []
    for step in range(count):
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
