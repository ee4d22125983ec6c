"""Runs the whole path on published weights and compares it with transformers and peft.

    python run.py --barka BIN --work DIR --data DIR [--doc FILE] [CHECK…]

run.sh installs everything and calls this script. The recipe is recipe.yaml. CHECKS names the checks;
without names all of them run. The exit status is 1 if one fails. --doc writes docs/real-models.md:
the counts of each stage, the result of each check, and the first twenty rows of each stage.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import document
import weights
from checks import ARABIC, ENGLISH, HERE, Failed, Path, lines, text, tokens, training

# Rows that wiki and convert must give: they depend on no model and no machine.
EXPECTED = {
    "1-passages": (102, 14),
    "2-instructions-gsm8k": (40, 0),
    "2-instructions-copa": (40, 0),
    "2-instructions-boolq": (32, 0),
    "2-instructions-arc-easy-cot": (40, 0),
}


def check_counts(path):
    got = {}
    for name, want in EXPECTED.items():
        manifest = json.loads((path.out / name / "manifest.json").read_text())
        got[name] = document.counts(manifest)
        if got[name] != want:
            raise Failed(f"{name}: {got[name][0]} rows and {got[name][1]} rejected, expected {want[0]} and {want[1]}")
    return f"{len(got)} datasets have the expected numbers of rows"


def check_tokens(path):
    return tokens(path, lines(path, ENGLISH, 400) + lines(path, ARABIC, 400))


def check_text(path):
    return text(path)


def check_scores(path):
    requests = [{"context": "", "continuations": [t]} for t in lines(path, ENGLISH, 100) + lines(path, ARABIC, 100)]
    asked, answered = path.write("requests.jsonl", requests), path.work / "scores.jsonl"
    answered.write_text(path.tool("score", "--model", path.model, "--dtype", "f32", text=asked.read_text(encoding="utf-8")),
                        encoding="utf-8")
    with open(asked, encoding="utf-8") as f:
        return path.script("score_compare.py", "--model", path.reference, "--compare", answered, "--tolerance", 2e-3, stdin=f)


def check_training(path):
    """Four optimiser steps."""
    rows = document.rows(path.out / "5-mix")[:32]
    return training(path, [{"messages": [{"role": m["role"], "content": m["content"]} for m in r["messages"]]} for r in rows], "--batch", 8)


def check_merge(path):
    return path.script("check_merged.py", "--base", path.model, "--adapter", path.out / "6-adapter", "--merged", path.out / "7-merged")


CHECKS = {f.__name__.removeprefix("check_"): f for f in (check_counts, check_tokens, check_text, check_scores, check_training, check_merge)}


def prepare(path):
    """The directory in which the recipe's paths exist."""
    weights.layout(weights.smollm2_file(path.work), path.model)
    for name, target in (("data", path.data), ("recipe.yaml", HERE / "recipe.yaml")):
        with contextlib.suppress(FileNotFoundError):
            (path.work / name).unlink()
        (path.work / name).symlink_to(target)
    if not (path.work / "bench").exists():
        path.tool("eval", "convert", "data/oall/acegpt", "bench")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--barka", "--work", "--data"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--doc", type=pathlib.Path)
    parser.add_argument("check", nargs="*", choices=[[], *CHECKS])
    args = parser.parse_args()
    path = Path(args)
    prepare(path)
    began = time.monotonic()
    done = subprocess.run([path.barka, "run", "recipe.yaml", "--out", path.out], cwd=path.work)
    if done.returncode != 0:
        sys.exit(f"barka run: exit {done.returncode}")
    seconds = time.monotonic() - began
    found, failed = {}, False
    for name in args.check or CHECKS:
        try:
            found[name] = CHECKS[name](path)
        except Failed as e:
            found[name], failed = f"FAILED: {e}", True
        print(f"{name}: {found[name]}", flush=True)
    if args.doc:
        document.write(args.doc, path, found, seconds)
    sys.exit(failed)


if __name__ == "__main__":
    main()
