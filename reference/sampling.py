"""Writes testdata/models/sampling/golden.json: what transformers' logits processors keep of given logits, and text under them.

`cases`: for each row of `logits` and each setting, the tokens kept with their probabilities, the processors in
the order in which `generate` puts them. A case is left out if a boundary of a filter is so near a token that the
order of float32 sums decides. `penalised`: greedy text of the reference checkpoints under a repetition penalty.
"""

import json
import os
import pathlib

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent / "testdata" / "models"
OUT = pathlib.Path(os.environ.get("BARKA_GOLDENS") or MODELS) / "sampling"
SEED, VOCAB = 11, 128
SETTINGS = [
    {}, {"temperature": 0.7}, {"temperature": 1.8}, {"temperature": 0.05},
    {"top_k": 1}, {"top_k": 7}, {"top_k": 50}, {"top_k": 500}, {"top_k": 20, "temperature": 0.3},
    {"top_p": 0.1}, {"top_p": 0.5}, {"top_p": 0.95}, {"top_p": 0.9, "temperature": 1.5}, {"top_p": 0.8, "temperature": 0.2},
    {"min_p": 0.01}, {"min_p": 0.2}, {"min_p": 1.0}, {"min_p": 0.05, "temperature": 2.0},
    {"top_k": 30, "top_p": 0.8}, {"top_k": 10, "top_p": 0.99, "temperature": 0.8},
    {"top_k": 40, "top_p": 0.95, "min_p": 0.1}, {"top_p": 0.7, "min_p": 0.02, "temperature": 1.3},
    {"repetition_penalty": 1.3}, {"repetition_penalty": 0.6, "top_k": 12},
    {"repetition_penalty": 1.2, "temperature": 0.8, "top_k": 50, "top_p": 0.95, "min_p": 0.01},
]
SEEN = [3, 17, 17, 42, 99, 120, 3]


def rows():
    g = torch.Generator().manual_seed(SEED)
    draw = lambda: torch.randn(1, VOCAB, generator=g)
    peaked = draw()
    peaked[0, 17] = 30.0
    ties = (draw() * 2).round() / 2
    return [draw(), draw() * 4, draw() * 0.05 + 5, peaked, ties, draw() * 3 - 40]


def apply(model, setting, logits):
    config = GenerationConfig(do_sample=True, **{"top_k": 0, "top_p": 1.0, **setting})
    model._prepare_special_tokens(config)
    ids = torch.tensor([SEEN])
    processors = model._get_logits_processor(config, input_ids_seq_length=len(SEEN))
    return torch.softmax(processors(ids, logits.clone()), -1)[0], [type(p).__name__ for p in processors]


def near(model, setting, logits):
    """Does a filter's boundary fall within the rounding of a sum, or between equal tokens?"""
    for key, step in (("top_p", 2e-5), ("min_p", 1e-6)):
        if key in setting:
            kept = []
            for d in (-step, 0, step):
                value = min(max(setting[key] + d, 0.0), 1.0)
                kept.append((apply(model, {**setting, key: value}, logits)[0] > 0).tolist())
            if setting[key] < 1 and (kept[0] != kept[1] or kept[2] != kept[1]):
                return True
    if "top_p" in setting:
        # Among equal tokens top-p keeps those that an unstable sort puts first.
        p, _ = apply(model, {k: v for k, v in setting.items() if k != "top_p"}, logits)
        q, _ = apply(model, setting, logits)
        out = {p[i].item() for i in range(VOCAB) if q[i] == 0 and p[i] > 0}
        return any(p[i].item() in out for i in range(VOCAB) if q[i] > 0)
    return False


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(MODELS / "gemma2", dtype=torch.float32)
    cases, skipped = [], 0
    all_rows = rows()
    for i, logits in enumerate(all_rows):
        for setting in SETTINGS:
            if near(model, setting, logits):
                skipped += 1
                continue
            p, names = apply(model, setting, logits)
            kept = [t for t in range(VOCAB) if p[t] > 0]
            cases.append({"row": i, **setting, "processors": names, "kept": kept,
                          "probabilities": [float(f"{p[t].item():.7g}") for t in kept]})
    penalised = []
    for name in ("gemma2", "gptneox", "gptneox-sequential", "llama", "llama-tied", "qwen2"):
        model = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32, attn_implementation="eager")
        prompt = json.loads((MODELS / name / "golden.json").read_text())["sequences"][3]
        for penalty in (1.3, 0.8):
            out = model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False,
                                 repetition_penalty=penalty, eos_token_id=None, pad_token_id=0)
            penalised.append({"model": name, "penalty": penalty, "prompt": prompt, "tokens": out[0][len(prompt):].tolist()})
    OUT.mkdir(parents=True, exist_ok=True)
    values = {
        "provenance": {"script": "sampling.py", "seed": SEED, "torch": torch.__version__, "transformers": transformers.__version__},
        "logits": [[float(f"{x:.9g}") for x in r[0].tolist()] for r in all_rows], "seen": SEEN, "cases": cases, "penalised": penalised,
    }
    text = json.dumps(values, separators=(",", ":"))
    for start in ('},{"row"', '],[', '},{"model"'):
        text = text.replace(start, start.replace(",", ",\n", 1))
    (OUT / "golden.json").write_text(text + "\n")
    print(f"{len(cases)} cases, {skipped} left out at a boundary")


if __name__ == "__main__":
    main()
