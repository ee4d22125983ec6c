"""Trains a small model: AdamW without weight decay of vectors, gradients clipped, a cosine after a short warm-up."""

import math
import time

import torch
from transformers import get_cosine_schedule_with_warmup


def descend(model, steps, rate, loss, stop=None):
    """Takes the steps of a schedule, up to stop, and yields the number of each after it. loss() is that of the next batch."""
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim < 2]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=rate, betas=(0.9, 0.98))
    schedule = get_cosine_schedule_with_warmup(opt, max(1, steps // 20), max(1, steps))
    start, mean = time.time(), None
    for step in range(1, min(steps, stop or steps) + 1):
        model.train()
        value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        schedule.step()
        opt.zero_grad()
        mean = value.item() if mean is None else 0.95 * mean + 0.05 * value.item()
        if not math.isfinite(mean):
            raise SystemExit(f"loss is {mean} at step {step}")
        if step % 50 == 0:
            print(f"step {step} loss {mean:.4f} {time.time() - start:.0f} s", flush=True)
        yield step
