"""Times whole evaluations of barka and lighteval 0.3.0, from the command to the result files.

    python speed.py --barka BIN --model DIR --data DATA --work DIR [--hellaswag FILE] [--dtype float32] [--rounds 3] [--threads 2]

DATA is the output of `barka eval convert` for AceGPT's files; two questions of each of Arabic MMLU's subjects are run. FILE is
HellaSwag's English validation set with six lines per question (context, answer, four endings), packed with bzip2; a hundred of
them are run with the leaderboard's Arabic prompt. lighteval runs once, barka --rounds times, and its best time counts; with
--no-share it runs once. Accuracies and digests must be equal. The machine must be idle.
"""

import argparse
import bz2
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SUBJECTS = HERE.parents[1] / "internal/eval/tasks/tasks.tsv"


def hellaswag(packed, root):
    lines = bz2.open(packed, "rt", encoding="utf-8").read().split("\n")
    rows = [{"ctx": lines[i], "endings": repr(lines[i + 2:i + 6]), "label": lines[i + 1]} for i in range(0, len(lines) - 5, 6)]
    where = root / "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/hellaswag_okapi_ar"
    where.mkdir(parents=True, exist_ok=True)
    for split, part in (("test", rows[5:]), ("validation", rows[:5])):
        (where / f"{split}.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in part), encoding="utf-8")
    return root


def timed(command, out, threads):
    """Seconds and gibibytes of a command that writes its results to out."""
    shutil.rmtree(out, ignore_errors=True)
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    start = time.monotonic()
    p = subprocess.Popen([str(c) for c in command], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(p.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command[:3]))} … failed; run it by itself to see why")
    return time.monotonic() - start, used.ru_maxrss / (1 << 20)


def results(out):
    (path,) = out.glob("results/**/results_*.json")
    found = json.loads(path.read_text("utf-8"))
    return found["results"], found["summary_general"]


def compare(args, name, tasks, data, samples):
    work = pathlib.Path(args.work)
    dtype = {"float32": "f32", "bfloat16": "bf16"}[args.dtype]
    ours = [args.barka, "eval", "--model", args.model, "--dtype", dtype, "--tasks", tasks, "--data", data, "--threads", args.threads,
            "--max-samples", samples, "--override-batch-size", 4, "--quiet", "--output-dir"]  # fmt: skip
    best = min(timed([*ours, work / "barka"], work / "barka", args.threads) for _ in range(args.rounds))
    apart = timed([*ours, work / "apart", "--no-share"], work / "apart", args.threads)
    theirs = timed([sys.executable, HERE / "peer.py", "--model", args.model, "--data", data, "--tasks", tasks, "--out", work / "lighteval",
                    "--dtype", args.dtype, "--batch", 4, "--threads", args.threads, "--max-samples", samples],
                   work / "lighteval", args.threads)  # fmt: skip
    equal = "yes" if results(work / "barka") == results(work / "lighteval") else "no"
    print(f"| {name} | {best[0]:.1f} s | {best[1]:.2f} GiB | {apart[0]:.1f} s "
          f"| {theirs[0]:.1f} s | {theirs[1]:.2f} GiB | {theirs[0] / best[0]:.1f} | {equal} |")


def main():
    p = argparse.ArgumentParser()
    for name in ("barka", "model", "data", "work"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--hellaswag")
    p.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--mmlu-samples", type=int, default=2)
    p.add_argument("--hellaswag-samples", type=int, default=100)
    args = p.parse_args()
    print("| tasks | barka | memory | `--no-share` | lighteval | memory | ratio | results equal |\n|---|---:|---:|---:|---:|---:|---:|---|")
    names = [line.split("|")[1] for line in SUBJECTS.read_text("utf-8").splitlines() if line.startswith("community|arabic_mmlu:")]
    if args.mmlu_samples:
        compare(args, "Arabic MMLU", ",".join(f"community|{n}|0|1" for n in names), args.data, args.mmlu_samples)
    if args.hellaswag and args.hellaswag_samples:
        compare(args, "HellaSwag", "community|hellaswag_okapi_ar|0|1",
                hellaswag(args.hellaswag, pathlib.Path(args.work) / "hellaswag"), args.hellaswag_samples)


main()
