#!/usr/bin/env python3
"""transformers and peft on one card: what Barka's GPU targets are compared with.

A model of Gemma-2-2b's shape with random weights, bfloat16, eager attention (what transformers
advises for Gemma 2). LoRA of rank 128 on all seven projections at length 1,024 without gradient
checkpointing, half of the labels trained; then prefill, decoding with generate, and scoring as
lighteval's loop does it. A JSON list on standard output, as measure's.

torch_peer.py            all of that
torch_peer.py compiled   decoding with a static cache, which generate compiles: a minute by itself
"""
import json
import sys
import time

import torch
import transformers
from transformers import Gemma2Config, Gemma2ForCausalLM

BEGIN = time.time()
SHAPE = "Gemma-2-2b"
results = []


def add(work, shape, value, unit):
    variant = f"transformers {transformers.__version__}"
    results.append({"work": work, "variant": variant, "shape": shape, "value": value, "unit": unit})
    print(f"{time.time() - BEGIN:6.1f} s  {work:20} {shape:44} {value:10.5g} {unit}", file=sys.stderr, flush=True)


def model():
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=256000, hidden_size=2304, intermediate_size=9216, num_hidden_layers=26, num_attention_heads=8,
        num_key_value_heads=4, head_dim=256, sliding_window=4096, attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0, query_pre_attn_scalar=256, attn_implementation="eager")
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        made = Gemma2ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return made.eval()


def timed(f):
    torch.cuda.synchronize()
    start = time.perf_counter()
    f()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def ids(rows, length):
    return torch.randint(3, 255000, (rows, length), device="cuda")


@torch.no_grad()
def scoring(m):
    # lighteval's loop: one batch per question, the whole context with each of four choices.
    batch = ids(4, 512)

    def question():
        logits = m(batch, use_cache=False).logits.float()
        return torch.log_softmax(logits, -1)[:, -2].sum()

    question()
    seconds = timed(lambda: [question() for _ in range(5)]) / 5
    add("scoring loop", f"{SHAPE}, 4 choices × 512 tokens", 1 / seconds, "questions/s")
    batch = ids(16, 512)
    forward = lambda: m(batch, use_cache=False, logits_to_keep=1)
    forward()
    add("padded forward", f"{SHAPE}, 16×512, no logits", batch.numel() / timed(forward), "tokens/s")
    one = ids(1, 1024)
    prefill = lambda: m(one, logits_to_keep=1)
    prefill()
    add("prefill", f"{SHAPE}, one prompt of 1024", 1024 / (timed(lambda: [prefill() for _ in range(5)]) / 5), "tokens/s")


@torch.no_grad()
def decoding(m, rows, prompt, cache=None):
    batch = ids(rows, prompt)
    options = dict(do_sample=False, eos_token_id=None, pad_token_id=0, attention_mask=torch.ones_like(batch))
    if cache:
        options["cache_implementation"] = cache

    def run(n):
        m.generate(batch, max_new_tokens=n, min_new_tokens=n, **options)

    run(34)
    run(2)
    few, many = timed(lambda: run(2)), timed(lambda: run(34))
    add("decode" + (" " + cache if cache else ""), f"{SHAPE}, batch {rows}, context {prompt}",
        32 * rows / (many - few), "tokens/s")


def lora(m):
    from peft import LoraConfig, get_peft_model

    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    m = get_peft_model(m, LoraConfig(r=128, lora_alpha=128, lora_dropout=0.0, target_modules=names))
    m.train()
    trained = [p for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for rows in (8, 4, 2, 1):
        try:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            batch = ids(rows, 1024)
            labels = batch.clone()
            labels[:, :512] = -100

            def step():
                loss = m(input_ids=batch, labels=labels, use_cache=False).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                optimizer.zero_grad()

            step()
            step()
            seconds = timed(lambda: [step() for _ in range(4)]) / 4
            shape = f"{SHAPE}, r128, {rows}×1024, eager"
            add("LoRA", shape, batch.numel() / seconds, "tokens/s")
            add("LoRA memory", shape, torch.cuda.max_memory_allocated() / 1e9, "GB")
            return
        except torch.cuda.OutOfMemoryError:
            optimizer.zero_grad()
            print(f"{rows} rows do not fit", file=sys.stderr)


def main():
    m = model()
    print(f"{time.time() - BEGIN:.1f} s: model", file=sys.stderr, flush=True)
    if sys.argv[1:] == ["compiled"]:
        decoding(m, 1, 128, "static")
    else:
        scoring(m)
        decoding(m, 1, 128)
        decoding(m, 32, 1024)
        lora(m)
    json.dump(results, sys.stdout, indent=1)


main()
