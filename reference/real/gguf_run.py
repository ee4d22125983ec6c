"""Compares barka on published GGUF files with the package gguf, transformers and peft.

    python gguf_run.py --barka BIN --work DIR --data DIR [--doc FILE] [--only CHECK…] [MODEL…]

gguf.sh installs everything and calls this script. Barka reads the GGUF file itself; transformers and peft
read the same file dequantised to float32 (weights.py). Without names all models and checks run. Results are
kept in DIR/gguf.json, and --doc writes docs/real-gguf.md from them and from those of quantised.py. The exit
status is 1 if a check fails.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import re
import statistics
import sys

import gguf_document
import weights
from checks import ARABIC, ENGLISH, HERE, Failed, Path, lines, peers, side, text, tokens, training

ROUNDS = 3


def check_values(path):
    """Every tensor, dequantised to float32, against the package gguf, in the order of rows that transformers gives."""
    import gguf
    import numpy as np
    from safetensors import safe_open
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor
    reader, config = gguf.GGUFReader(path.model), json.loads((path.reference / "config.json").read_text())
    names = gguf.get_tensor_name_map(path.arch, config["num_hidden_layers"])
    with safe_open(path.reference / "model.safetensors", "np") as f:
        published = {names.get_name(key, try_suffixes=(".weight", ".bias")): key for key in f.keys()}
    paired, sums, values = LlamaTensorProcessor(config), {}, 0
    for t in reader.tensors:
        w = gguf.dequantize(t.data, t.tensor_type)
        if path.arch == gguf.MODEL_ARCH.GEMMA3 and "norm" in t.name:
            w = w - np.float32(1)
        if path.arch == gguf.MODEL_ARCH.LLAMA:
            w = paired.process(w, t.name).weights
        values += w.size
        sums[published[t.name]] = hashlib.sha256(np.ascontiguousarray(w, np.float32).tobytes()).hexdigest()
    file = path.work / "sha256.json"
    file.write_text(json.dumps(sums))
    done = path.call("go", "test", "./internal/gguf", "-count", "1", "-v", "-run", "TestPublishedFile", cwd=HERE.parent.parent,
                     env=os.environ | {"CGO_ENABLED": "0", "BARKA_GGUF": str(path.model), "BARKA_GGUF_SHA256": str(file)})
    kinds = re.search(r"tensors: map\[(.*)\]", done.stdout)
    return f"{len(sums)} tensors ({kinds[1]}), {values:,} values: equal bit for bit"


def check_tokens(path):
    return tokens(path, [t for name in (ENGLISH, ARABIC) for t in side(path, name)])


def check_text(path):
    return text(path)


def documents(path, count=2, length=4000):
    """Joined lines: long texts, above the window of sliding layers."""
    for name in (ENGLISH, ARABIC):
        whole = "\n".join(side(path, name))
        yield from (whole[i * length:(i + 1) * length].strip() for i in range(count))


def check_perplexity(path):
    """Perplexity and log-probabilities of lines and of long texts, in float32."""
    import score_compare
    texts = lines(path, ENGLISH, 100) + lines(path, ARABIC, 100) + list(documents(path))
    asked = path.write("requests.jsonl", [{"context": "", "continuations": [t]} for t in texts])
    answers = path.tool("score", "--model", path.model, "--dtype", "f32", "--per-token", text=asked.read_text(encoding="utf-8"))
    ours = [json.loads(a)["token_logprobs"][0] for a in answers.splitlines()]
    peers.start(os.cpu_count())
    model, tok = peers.load(path.reference), peers.tokenizer(path.reference)
    theirs = [score_compare.score(model, tok, "", t)[0] for t in texts]
    found = [perplexities(ours, theirs, part) for part in (range(200), range(200, len(texts)))]
    largest = max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))
    if max(f["relative"] for f in found) > 1e-4:
        raise Failed(f"perplexities differ: {found}")
    return "; ".join(f"{what}: {f['tokens']:,} tokens, {f['ours']:.6g} against {f['theirs']:.6g} ({f['relative']:.1g} relative)"
                     for what, f in zip(("200 lines", f"{len(texts) - 200} texts of 4,000 characters"), found)
                     ) + f"; largest difference of a token {largest:.2g}"


def perplexities(ours, theirs, part):
    a, b = (math.exp(-statistics.fmean(x for i in part for x in found[i])) for found in (ours, theirs))
    return {"tokens": sum(len(ours[i]) for i in part), "ours": a, "theirs": b, "relative": abs(a - b) / b}


def check_training(path):
    """One hundred steps of two short pairs."""
    pairs = [(e, a) for e, a in zip(side(path, ENGLISH), side(path, ARABIC)) if 20 < len(e) <= 60 and 20 < len(a) <= 60][:200]
    rows = [{"messages": [{"role": "user", "content": f"Translate to Arabic: {e}"}, {"role": "assistant", "content": a}]} for e, a in pairs]
    verdict = training(path, rows, "--batch", 2, "--lr", "2e-4")
    steps = peers.jsonl(path.work / "train-run/metrics.jsonl")
    return f"{verdict} (relative, of loss, rate and gradient norm; loss {steps[0]['loss']:.3f} to {steps[-1]['loss']:.3f})"


# Runs in a small process: the peak that the system reports of a child includes its parent's memory at the fork.
MEASURE = """
import os, subprocess, sys, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
process.stdin.write(b'{"context": "", "continuations": ["Hello there."]}\\n')
process.stdin.close()
_, status, used = os.wait4(process.pid, 0)
print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
sys.exit(status != 0)
"""


def load(path, model, dtype):
    """Seconds, seconds of the processors and peak bytes of a process that scores one short text."""
    done = path.call(sys.executable, "-c", MEASURE, path.barka, "score", "--model", model, "--dtype", dtype, "--quiet")
    return [float(x) for x in done.stdout.split()]


def check_load(path):
    """The GGUF file and safetensors of the same model, alternately, in float32 and bfloat16. A machine that is busy
    with something else shows nothing about time: the figures are printed, but not held to their bound."""
    import torch
    from safetensors import safe_open
    half = path.work / "bf16"
    weights.stored_as(path.reference, half, torch.bfloat16)
    with safe_open(half / "model.safetensors", "pt") as f:
        count = sum(math.prod(f.get_slice(key).get_shape()) for key in f.keys())
    cases = [("f32", 4, "float32", path.reference), ("f32", 4, "bfloat16", half), ("bf16", 2, "bfloat16", half)]
    rows = []
    for dtype, size, stored, directory in cases:
        load(path, path.model, dtype), load(path, directory, dtype)  # the page cache, and the GGUF file's directory
        runs = [(load(path, path.model, dtype), load(path, directory, dtype)) for _ in range(ROUNDS)]
        middle = [[statistics.median(r[side][i] for r in runs) for i in range(3)] for side in (0, 1)]
        ratio = [statistics.median(a[i] / b[i] for a, b in runs) for i in range(2)]
        rows.append({"dtype": dtype, "stored": stored, "gguf": middle[0], "safetensors": middle[1], "ratio": ratio,
                     "weights": count * size})
    path.write("load.jsonl", rows)
    busy = os.getloadavg()[0] > os.cpu_count() + 1
    late = [r for r in rows if r["ratio"][0] > 2 and not busy]
    large = [r for r in rows if r["gguf"][2] > 1.2 * r["weights"]]
    said = "; ".join(f"{r['dtype']} beside {r['stored']} safetensors {r['ratio'][0]:.2f} × the time, peak "
                     f"{r['gguf'][2] / r['weights']:.2f} × the weights" for r in rows)
    if late or large:
        raise Failed(f"above 2 × the time or 1.2 × the weights: {said}")
    return said + " (a busy machine: the times were not checked)" * busy


CHECKS = {f.__name__.removeprefix("check_"): f
          for f in (check_values, check_tokens, check_text, check_perplexity, check_training, check_load)}


def published(args, name):
    """The paths of a model, after its files were made."""
    import gguf
    path = Path(args)
    path.work = args.work.resolve() / name
    path.work.mkdir(parents=True, exist_ok=True)
    path.reference = path.work / "reference"
    if name == "gemma3":
        path.model, path.arch = weights.gemma3_file(path.work), gguf.MODEL_ARCH.GEMMA3
        path.chat_format, path.end = "gemma", "<end_of_turn>"
        weights.layout(path.model, path.reference, weights.gemma_tokenizer, weights.GEMMA)
    else:
        path.model, path.arch = weights.smollm2_file(path.work), gguf.MODEL_ARCH.LLAMA
        weights.layout(path.model, path.reference)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--barka", "--work", "--data"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--doc", type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=list(CHECKS))
    parser.add_argument("model", nargs="*", choices=[[], *gguf_document.MODELS])
    args = parser.parse_args()
    kept = args.work / "gguf.json"
    found, failed = json.loads(kept.read_text()) if kept.exists() else {}, False
    for model in args.model or gguf_document.MODELS:
        path = published(args, model)
        for name in args.only or CHECKS:
            try:
                result = CHECKS[name](path)
            except Failed as e:
                result, failed = f"FAILED: {e}", True
            found.setdefault(model, {})[name] = result
            print(f"{model}, {name}: {result}", flush=True)
            kept.write_text(json.dumps(found, indent=1))
    if args.doc:
        gguf_document.write(args.doc, args.work, found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
