"""What LoRA training gains on published weights, with barka and with peft on the same data, in the same order, from the same adapter.

    python gain.py --barka BIN --work DIR --data DIR [--doc FILE] [--tokens 40000] [--max-steps N] [MODEL…]

gain.sh installs everything and calls this script. The rows are instructions made from half of the documents of NTREX and TICO-19
(gain_data.py); the other half is held out. Each step's result is kept in DIR/gain/MODEL/results.json, and the same command goes on
with the next step. --doc writes the section of docs/real-models.md. --max-steps trains less, to try the script.
"""

import argparse
import json
import os
import pathlib
import resource
import sys
import time

import gain_data
import gain_document
import weights
from checks import HERE, Failed, Path, peers

OPTIONS = ["--batch", 4, "--lr", "5e-4", "--max-length", 512, "--dtype", "bf16"]
SHAPE = ["--rank", 16, "--alpha", 32]
STILL = ["--lr", "1e-30", "--max-steps", 1, "--batch", 1, "--max-length", 512, "--dtype", "bf16"]
# Both programs compute in bfloat16 and round at other places. A step of four short answers then has another gradient norm, by a
# factor in the worst case (Gemma 3), and the adapters part slowly. In float32 gguf_run.py bounds the steps by 1e-3.
STEP_BOUND, ADAPTER_BOUND = 10, 0.5
ADAPTERS = {"base": None, "barka": "barka", "peft": "peft"}
# Tasks, and the first questions of each task that are asked.
BENCHMARKS = {"arabic_exams": 100, "acva,arabic_mmlu": 4}


class Gain(Path):
    """The directories of one model."""

    def __init__(self, args, name):
        super().__init__(args)
        self.bench, self.budget = self.work / "bench", args.tokens
        self.short = ["--max-steps", args.max_steps] if args.max_steps else []
        self.name, self.work = name, self.work / "gain" / name
        self.model = self.reference = self.work / "model"
        self.work.mkdir(parents=True, exist_ok=True)

    def prepare(self):
        if self.name == "gemma3":
            self.end = "<end_of_turn>"
        if not (self.model / "model.safetensors").exists():
            if self.name == "gemma3":
                weights.layout(weights.gemma3_file(self.work), self.model, weights.gemma_tokenizer, weights.GEMMA)
            else:
                weights.layout(weights.smollm2_file(self.work), self.model)
        if not self.bench.exists():
            self.tool("eval", "convert", self.data / "oall/acegpt", self.bench)

    def adapted(self, name):
        return ["--adapter", self.work / ADAPTERS[name]] if ADAPTERS[name] else []

    def metrics(self, run):
        return peers.jsonl(self.work / run / "metrics.jsonl")

    def still(self, out, *more):
        """The validation loss of a model that a step with the rate 1e-30 leaves as it is."""
        self.tool("train", "--model", self.model, "--data", self.work / "row.jsonl", "--val", self.work / "held.jsonl", "--restart",
                  *STILL, *more, "--out", self.work / out)
        return self.metrics(out)[-1]["val_loss"]


def measured(call):
    """What a call returns, its seconds, and those of the processors in its processes."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    began, before = time.monotonic(), used()
    value = call()
    return value, {"seconds": time.monotonic() - began, "processor_seconds": used() - before}


def step_data(path):
    return gain_data.write(path)


def step_start(path):
    """The adapter from which both begin, which is the base model, and its loss."""
    return {"loss": path.still("start", *SHAPE)}


def step_barka(path):
    words = ["train", "--model", path.model, "--data", path.work / "train.jsonl", "--val", path.work / "held.jsonl", "--restart",
             *OPTIONS, *SHAPE, *path.short, "--out", path.work / "barka"]
    _, cost = measured(lambda: path.tool(*words))
    steps = path.metrics("barka")
    return cost | {key: sum(s[key] for s in steps) for key in ("tokens", "trained_tokens")} | {
        "steps": len(steps), "losses": [s["loss"] for s in steps], "loss": steps[-1]["val_loss"],
        "command": gain_document.command(path, words)}


def step_peft(path):
    verdict, cost = measured(lambda: path.script(
        "train_compare.py", "--model", path.model, "--data", path.work / "train.jsonl", "--run", path.work / "barka", "--adapter",
        path.work / "start", "--end", path.end, "--threads", os.cpu_count(), "--tolerance", STEP_BOUND, "--adapter-tolerance",
        ADAPTER_BOUND, "--save", path.work / "peft"))
    return cost | {"verdict": verdict, "loss": path.still("peft-loss", "--adapter", path.work / "peft")}


def step_losses(path):
    """The held-out losses as transformers and peft compute them, of each kind of instruction and of all."""
    import torch
    import train_compare
    peers.start(os.cpu_count())
    tok, rows, found = peers.tokenizer(path.model), peers.jsonl(path.work / "held.jsonl"), {}
    for name, adapter in ADAPTERS.items():
        model = peers.load(path.model, "bf16", adapter and path.work / adapter)
        sums = []
        for row in rows:
            ids, mask = train_compare.example(tok, row["messages"], path.end, 512)
            with torch.no_grad():
                sums.append((train_compare.loss_sum(model, ids, mask).item(), sum(mask[1:])))
        parts = {kind: sums[i::len(gain_data.KINDS)] for i, kind in enumerate(gain_data.KINDS)} | {"all": sums}
        found[name] = {kind: sum(a for a, _ in part) / sum(n for _, n in part) for kind, part in parts.items()}
    return found


def step_translations(path):
    """chrF of greedy translations of held-out sentences; shots: the base model's after three examples, without the chat format."""
    found = {}
    for name in ("base", "shots", "barka", "peft"):
        texts = [a["text"].strip().split("\n")[0] for a in answers(path, name)]
        found[name] = {"texts": texts} | {kind: chrf(path, name, kind, texts) for kind in gain_data.TRANSLATIONS}
    return found


def answers(path, name):
    """Kept, so that an interrupted step does not write them again."""
    kept, raw = path.work / f"{name}.answers.jsonl", name == "shots"
    if not kept.exists():
        out = path.tool("generate", "--model", path.model, "--dtype", "bf16", "--max-tokens", 256, "--json", "--input",
                        path.work / ("shots.jsonl" if raw else "prompts.jsonl"),
                        *(["--raw", "--stop", "\n"] if raw else path.adapted(name)))
        path.write(kept.name, [a for a in map(json.loads, out.splitlines()) if "text" in a])
    return peers.jsonl(kept)


def chrf(path, name, kind, texts):
    """chrF as barka computes it, which sacrebleu has to confirm."""
    import sacrebleu
    asked = peers.jsonl(path.work / "asked.jsonl")
    pairs = [(t, a["answer"]) for t, a in zip(texts, asked, strict=True) if a["kind"] == kind]
    files = [path.work / f"{name}-{kind}.{side}" for side in ("out", "ref")]
    for file, lines in zip(files, zip(*pairs)):
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    ours = json.loads(path.tool("bleu", files[0], "--reference", files[1], "--metrics", "chrf", "--decimals", 4, "--json").splitlines()[0])
    theirs = sacrebleu.corpus_chrf([p[0] for p in pairs], [[p[1] for p in pairs]]).score
    ours = ours["scores"][0]["score"]
    if abs(ours - theirs) > 1e-3:
        raise Failed(f"chrF of {name}, {kind}: {ours}, sacrebleu has {theirs}")
    return ours


def step_benchmarks(path):
    """The rows of `barka compare` between the base model and barka's adapter."""
    rows = []
    for tasks, most in BENCHMARKS.items():
        outs = {name: path.work / "evals" / f"{tasks}-{name}" for name in ("base", "barka")}
        for name, out in outs.items():
            if not list(out.glob("results/*/results_*.json")):
                path.tool("eval", "run", "--model", path.model, "--dtype", "bf16", "--tasks", tasks, "--max-samples", most, "--data",
                          path.bench, "--output-dir", out, "--offline", *path.adapted(name))
        rows += json.loads(path.tool("compare", outs["base"], outs["barka"], "--json").splitlines()[0])["rows"]
    return rows


STEPS = {f.__name__.removeprefix("step_"): f
         for f in (step_data, step_start, step_barka, step_peft, step_losses, step_translations, step_benchmarks)}


def read(kept):
    return json.loads(kept.read_text()) if kept.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--barka", "--work", "--data"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--doc", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=40_000)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--only", action="append", choices=list(STEPS))
    parser.add_argument("model", nargs="*", choices=[[], *gain_document.MODELS])
    args = parser.parse_args()
    found = {}
    for name in args.model or gain_document.MODELS:
        path = Gain(args, name)
        path.prepare()
        kept = path.work / "results.json"
        for step in args.only or STEPS:
            if step not in read(kept):
                try:
                    result = STEPS[step](path)
                except Failed as e:
                    sys.exit(f"{name}, {step}: FAILED: {e}")
                kept.write_text(json.dumps(read(kept) | {step: result}, indent=1, ensure_ascii=False))
            print(f"{name}, {step}: done", flush=True)
        found[name] = read(kept)
    if args.doc:
        gain_document.write(args.doc, args.work, found)


if __name__ == "__main__":
    main()
