"""Runs the whole path in Arabic on published weights, and prints what the base model gains.

    python whole.py --barka BIN --work DIR --data DIR --translator DIR

whole.sh installs everything and calls this script. The recipe is whole.yaml. The same command goes on where the last one was
interrupted. It prints the rows of each stage with the reasons of those it drops, the loss on the rows that the mix holds out,
before and after, and `barka compare` of the evaluations.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys

import weights
from checks import HERE, Path, peers

# A step with this rate leaves the model as it is, and its validation is that of the base model.
STILL = ["--lr", "1e-30", "--max-steps", 1, "--eval-steps", 1, "--batch", 1, "--max-length", 512, "--rank", 16, "--alpha", 32]


def prepare(path, translator):
    """The directory in which the recipe's paths exist."""
    weights.layout(weights.smollm2_file(path.work), path.work / "generator")
    weights.layout(weights.gemma3_file(path.work), path.work / "base", weights.gemma_tokenizer, weights.GEMMA)
    for name, target in (("data", path.data), ("translator", translator.resolve()), ("whole.yaml", HERE / "whole.yaml")):
        with contextlib.suppress(FileNotFoundError):
            (path.work / name).unlink()
        (path.work / name).symlink_to(target)
    if not (path.work / "bench").exists():
        path.tool("eval", "convert", "data/oall/acegpt", "bench")


def counts(out):
    """The rows of each dataset of the run, and the reasons of those that its stage dropped."""
    for manifest in sorted(out.glob("*/manifest.json")):
        made = json.loads(manifest.read_text())
        if "rows" in made:
            reasons = {k.removeprefix("rejected_"): n for k, n in made.get("counts", {}).items() if k.startswith("rejected_")}
            dropped = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
            print(f"{manifest.parent.name}: {made['rows']} rows" + (f"; dropped: {dropped}" if dropped else ""))


def losses(path):
    """The loss on the rows that the mix holds out, before and after training."""
    path.tool("train", "--model", path.work / "base", "--data", path.out / "5-mix", "--val", path.out / "5-mix/validation",
              "--restart", "--dtype", "bf16", *STILL, "--out", path.work / "still")
    return (peers.jsonl(run / "metrics.jsonl")[-1]["val_loss"] for run in (path.work / "still", path.out / "6-adapter"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--barka", "--work", "--data", "--translator"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    args = parser.parse_args()
    path = Path(args)
    path.out = path.work / "whole"
    prepare(path, args.translator)
    done = subprocess.run([path.barka, "run", "whole.yaml", "--out", path.out], cwd=path.work)
    if done.returncode != 0:
        sys.exit(f"barka run: exit {done.returncode}")
    counts(path.out)
    before, after = losses(path)
    print(f"loss on the held-out rows: {before:.4f} before, {after:.4f} after")
    print(path.tool("compare", path.out / "8-eval-base", path.out / "9-eval-tuned"))


if __name__ == "__main__":
    main()
