"""One hundred optimiser steps of peft in float32 for checkpoints of testdata/models: hundred-steps/NAME.json beside them.

    python reference/hundred_steps.py

They start from NAME/adapter and train on the sequences and masks of NAME/golden.json. Each step accumulates two micro-batches
under the mean over the trained tokens of both; AdamW, rate 5e-4 with a cosine to 0 and 5 steps of warm-up, gradients clipped to 1.
"""

import json
import pathlib

import torch
import transformers

import golden
import peers

RATE = 5e-4
NAMES = ("gemma2", "gptneox", "gptneox-sequential", "llama", "qwen2", "gemma3", "qwen3", "hunyuan", "smollm3")
COMMITTED = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "models"


def main():
    golden.start(0)
    for name in NAMES:
        directory = COMMITTED / name
        known = json.loads((directory / "golden.json").read_text())
        model = peers.load(directory, "f32", directory / "adapter", trainable=True).eval()
        values = {}
        golden.steps(model, known["sequences"], known["masks"], {}, values, count=100, rate=RATE, warmup=5)
        steps = values["steps"]
        head = {"script": "reference/hundred_steps.py", "torch": torch.__version__, "transformers": transformers.__version__}
        lines = ",\n".join("  " + json.dumps(step) for step in steps)
        directory = golden.ROOT / "hundred-steps"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.json").write_text(f'{{\n "provenance": {json.dumps(head)},\n "steps": [\n{lines}\n ]\n}}\n')
        print(name, steps[0]["loss"], steps[-1]["loss"])


if __name__ == "__main__":
    main()
