"""Repeats the optimiser steps of a `barka train` run with transformers and peft, and compares them.

    python reference/train_compare.py --model DIR --data FILE.jsonl --run OUT --checkpoint OUT/checkpoints/step-00000004
    python reference/train_compare.py --model DIR --data FILE.jsonl --run OUT --adapter START

OUT is the run's directory: its train.json has the settings, its metrics.jsonl the rows of each step.
The script repeats the steps after the checkpoint, from which it reads the adapter and both moments, or
all steps from the adapter START. A finished run keeps no checkpoint, but the same run with --lr 1e-30
writes its initial adapter. The loss is on the answers and the <end_of_turn> after them, divided by
the number of their tokens in the whole batch. The optimiser is AdamW with warm-up, schedule and clipping.
The script checks that each epoch takes every row once, in batches of the run's size, and the numbers of
tokens of each step. It prints one line per step, {"step", "loss", "lr", "grad_norm"}, and at the end the
largest differences: of the steps, and of the finished adapter, relative to the way that training moved it
(Euclidean norms over all of its tensors). --save writes peft's adapter. `--data` has the rows of the
training, {"messages": [{"role", "content"}…]}, in order, dropped ones included.
"""

import argparse
import json
import math
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

import peers

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def example(tok, messages, end, max_length):
    """Ids, and for each whether it is trained: the assistant's text and the token that ends it."""
    spans = []
    for i, m in enumerate(messages):
        if m["role"] == "assistant":
            head = tok.apply_chat_template(messages[:i], add_generation_prompt=True, tokenize=False)
            turn = tok.apply_chat_template(messages[:i + 1], tokenize=False)
            spans.append((len(head), turn.rindex(end) + len(end)))
    text = tok.apply_chat_template(messages, tokenize=False)
    out = tok(text, add_special_tokens=False, return_offsets_mapping=True)
    mask = [any(a < stop and b > start for start, stop in spans) for a, b in out["offset_mapping"]]
    return out["input_ids"][:max_length], mask[:max_length]


def examples(args, settings, tok):
    rows = []
    for row in peers.jsonl(args.data):
        ids, mask = example(tok, row["messages"], args.end, settings["max_length"])
        if any(mask[1:]):
            rows.append((ids, mask))
    return rows


def loss_sum(model, ids, mask):
    """Σ −log p over the trained tokens of one conversation, run alone. Only their logits are computed."""
    trained = [i for i in range(1, len(ids)) if mask[i]]
    logits = model(torch.tensor([ids]), logits_to_keep=torch.tensor(trained) - 1).logits[0]
    logp = torch.log_softmax(logits.float(), -1)
    return -logp.gather(1, torch.tensor([ids[i] for i in trained])[:, None]).sum()


def check_rows(metrics, rows, settings):
    """Each epoch takes every row once, in batches of the size that the settings name; its last one may be smaller."""
    per_epoch = math.ceil(rows / settings["batch"])
    for first in range(0, len(metrics), per_epoch):
        epoch = metrics[first:first + per_epoch]
        taken = [i for step in epoch for i in step["rows"]]
        sizes = [len(step["rows"]) for step in epoch]
        whole = [settings["batch"]] * (per_epoch - 1) + [rows - settings["batch"] * (per_epoch - 1)]
        if sizes != whole[:len(sizes)] or len(set(taken)) != len(taken) or not set(taken) <= set(range(rows)):
            raise SystemExit(f"the epoch from step {first + 1} has batches of {sizes} rows, {len(set(taken))} of them different; "
                             f"expected {rows} different ones in batches of {settings['batch']}")


def adapted(args, settings):
    """The model with its adapter, the trained tensors by their names in PEFT's files, and the moments."""
    if args.adapter:
        model = peers.load(args.model, settings["dtype"], args.adapter, trainable=True)
    else:
        targets = settings["targets"]
        cfg = LoraConfig(r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=0.0, bias="none", task_type="CAUSAL_LM",
                         target_modules="all-linear" if targets == ["all-linear"] else targets, use_rslora=settings.get("rslora", False))
        model = get_peft_model(peers.load(args.model, settings["dtype"]), cfg)
    params = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    if args.adapter:
        return model, params, {}
    state = load_file(args.checkpoint / "state.safetensors")
    if {n[2:] for n in state} != set(params):
        raise SystemExit(f"the checkpoint has other tensors than peft: {sorted({n[2:] for n in state} ^ set(params))[:4]}")
    with torch.no_grad():
        for name, p in params.items():
            p.copy_(state["p." + name])
    return model, params, state


def optimiser(settings, params, state, taken, total):
    opt = torch.optim.AdamW(params.values(), lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]),
                            eps=settings["eps"], weight_decay=settings["weight_decay"])
    for name, p in params.items() if state else ():
        opt.state[p] = {"step": torch.tensor(float(taken)), "exp_avg": state["m." + name], "exp_avg_sq": state["v." + name]}
    warmup = math.ceil(settings["warmup_ratio"] * total)
    if settings["schedule"] == "constant":
        schedule = get_constant_schedule_with_warmup(opt, warmup)
    else:
        schedule = {"cosine": get_cosine_schedule_with_warmup,
                    "linear": get_linear_schedule_with_warmup}[settings["schedule"]](opt, warmup, total)
    for _ in range(taken):
        schedule.step()
    return opt, schedule


def check_adapter(got, params, start, tolerance):
    """How far the run's finished adapter is from peft's, relative to the way that training moved peft's."""
    if set(got) != set(params):
        raise SystemExit(f"the adapter has other tensors than peft's: {sorted(set(got) ^ set(params))[:4]}")
    apart = math.sqrt(sum((got[n].float() - p.detach()).square().sum().item() for n, p in params.items()))
    way = math.sqrt(sum((p.detach() - start[n]).square().sum().item() for n, p in params.items()))
    if not apart <= tolerance * way:
        raise SystemExit(f"the adapters are apart by {apart:.3g}, after a way of {way:.3g}; allowed {tolerance:.3g} of it: DIFFERENT")
    return apart / way


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True, type=pathlib.Path)
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--checkpoint", type=pathlib.Path)
    begin.add_argument("--adapter", help="an adapter directory from which the run began")
    parser.add_argument("--end", default="<end_of_turn>", help="the token that ends a turn")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of loss, rate and gradient norm, relative")
    parser.add_argument("--adapter-tolerance", type=float, default=1e-2, help="of the finished adapter, relative to its way")
    parser.add_argument("--save", type=pathlib.Path, help="directory for peft's adapter")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    peers.start(args.threads)
    settings = json.loads((args.run / "train.json").read_text())["options"]
    if settings["dropout"]:
        raise SystemExit("the run has dropout, whose masks peft cannot repeat; train with --dropout 0")
    metrics = peers.jsonl(args.run / "metrics.jsonl")
    taken = json.loads((args.checkpoint / "state.json").read_text())["step"] if args.checkpoint else 0
    data = examples(args, settings, peers.tokenizer(args.model))
    check_rows(metrics, len(data), settings)
    total = settings.get("max_steps") or settings["epochs"] * math.ceil(len(data) / settings["batch"])
    model, params, state = adapted(args, settings)
    start = {n: p.detach().clone() for n, p in params.items()}
    opt, schedule = optimiser(settings, params, state, taken, total)
    worst = 0.0
    for ours in metrics[taken:]:
        batch = [data[i] for i in ours["rows"]]
        trained = sum(sum(mask[1:]) for _, mask in batch)
        # A pass ends before its last target.
        inputs = sum(max(i for i, target in enumerate(mask) if target) for _, mask in batch)
        for what, want in (("tokens", inputs), ("trained_tokens", trained)):
            if ours[what] != want:
                raise SystemExit(f"step {ours['step']}: {ours[what]} {what}, expected {want}")
        opt.zero_grad()
        loss = 0.0
        for ids, mask in batch:
            part = loss_sum(model, ids, mask) / trained
            part.backward()
            loss += part.item()
        norm = torch.nn.utils.clip_grad_norm_(params.values(), settings["clip"] or float("inf")).item()
        theirs = {"step": ours["step"], "loss": loss, "lr": schedule.get_last_lr()[0], "grad_norm": norm}
        opt.step()
        schedule.step()
        peers.write(theirs)
        worst = max([worst] + [abs(ours[k] - theirs[k]) / max(abs(theirs[k]), 1e-12) for k in ("loss", "lr", "grad_norm")])
    if args.save:
        model.save_pretrained(args.save)
    what, final = f"{len(metrics) - taken} steps", args.run / "adapter_model.safetensors"
    if final.exists():
        what += f", adapter apart by {check_adapter(load_file(final), params, start, args.adapter_tolerance):.3g} of its way"
    peers.verdict(what, worst, args.tolerance)


if __name__ == "__main__":
    main()
