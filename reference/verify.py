"""Writes every golden again in a temporary directory and compares it with testdata.

    python reference/verify.py [NAME...]        NAME: gemma2, gemma3, gptneox, m2m100, llama,
                                             qwen2, qwen3, smollm3, sampling, translation, decoding, hundred_steps,
                                             lora_variants, lora_inits, merging
                                             dpo, only if it is named: its environment has TRL

Ids, settings and weights must be the same; float32 results may differ by rounding (2e-5 of the
tensor's largest value), bfloat16 ones by the machine's order of sums. Exit status 1 if not.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open

HERE = pathlib.Path(__file__).resolve().parent
COMMITTED = HERE.parent / "testdata" / "models"
SCRIPTS = ("gemma2", "gemma3", "gptneox", "m2m100", "llama", "qwen2", "qwen3", "smollm3", "sampling", "translation",
           "decoding", "hundred_steps", "lora_variants", "lora_inits", "merging")
NAMED = ("dpo",)
FLOAT32, BFLOAT16 = 2e-5, 5e-2


def numbers(where, old, new, problems):
    """Compares two JSON values; floats to 1e-4 relative, lists of names as sets."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key == "provenance":
                for k in old[key]:
                    if old[key][k] != new[key].get(k):
                        print(f"note: {where}: {k} was {old[key][k]}, is {new[key].get(k)}")
            elif key not in old or key not in new:
                problems.append(f"{where}: {key} is only in the {'committed' if key in old else 'new'} file")
            else:
                numbers(f"{where}.{key}", old[key], new[key], problems)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        if all(isinstance(x, str) for x in old + new):
            old, new = sorted(old), sorted(new)
        for i, (a, b) in enumerate(zip(old, new)):
            numbers(f"{where}[{i}]", a, b, problems)
    elif isinstance(old, float) and isinstance(new, float):
        if abs(old - new) > 1e-4 * abs(old) + 1e-5:
            problems.append(f"{where}: was {old}, is {new}")
    elif old != new or type(old) is not type(new):
        problems.append(f"{where}: was {str(old)[:80]}, is {str(new)[:80]}")


def tensors(where, old, new, problems):
    """Compares two safetensors files; returns the largest relative difference of the results."""
    worst = 0.0
    with safe_open(old, "pt") as a, safe_open(new, "pt") as b:
        if set(a.keys()) != set(b.keys()):
            problems.append(f"{where}: other tensors: {sorted(set(a.keys()) ^ set(b.keys()))[:5]}")
            return worst
        for name in a.keys():
            x, y = a.get_tensor(name), b.get_tensor(name)
            if x.shape != y.shape or x.dtype != y.dtype:
                problems.append(f"{where}: {name} was {x.dtype} {list(x.shape)}, is {y.dtype} {list(y.shape)}")
                continue
            exact = old.name != "golden.safetensors"
            tolerance = 0.0 if exact else BFLOAT16 if name.startswith("bf16.") else FLOAT32
            difference = (x.float() - y.float()).abs().max().item() / max(x.float().abs().max().item(), 1e-30)
            if not difference <= tolerance:
                problems.append(f"{where}: {name} differs by {difference:.2e} of its largest value, allowed {tolerance:.0e}")
            worst = max(worst, difference)
    return worst


def compare(old, new, problems):
    """Compares all files of two directories, except the model card that peft writes."""
    listing = lambda root: {p.relative_to(root) for p in root.rglob("*") if p.is_file() and p.name != "README.md"}
    worst = 0.0
    for path in sorted(listing(old) | listing(new)):
        where = f"{old.name}/{path}"
        if not (old / path).exists() or not (new / path).exists():
            problems.append(f"{where}: only {'committed' if (old / path).exists() else 'written again'}")
        elif path.suffix == ".safetensors":
            worst = max(worst, tensors(where, old / path, new / path, problems))
        elif path.suffix == ".json":
            numbers(where, json.loads((old / path).read_text()), json.loads((new / path).read_text()), problems)
        elif (old / path).read_bytes() != (new / path).read_bytes():
            problems.append(f"{where}: other bytes")
    return worst


def main():
    names = sys.argv[1:] or SCRIPTS
    for name in names:
        if name not in SCRIPTS + NAMED:
            sys.exit(f"{name}: no such golden; there are {', '.join(SCRIPTS + NAMED)}")
    problems = []
    with tempfile.TemporaryDirectory() as tmp:
        for name in names:
            subprocess.run([sys.executable, HERE / f"{name}.py"], check=True,
                           env=os.environ | {"BARKA_GOLDENS": tmp}, stdout=subprocess.DEVNULL)
        for new in sorted(pathlib.Path(tmp).iterdir()):
            old = COMMITTED / new.name if (COMMITTED / new.name).exists() else COMMITTED.parent / new.name
            worst = compare(old, new, problems)
            print(f"{new.name}: largest difference {worst:.1e}")
    for p in problems:
        print(p)
    print("different" if problems else "same")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
