"""Compares barka's log-likelihoods and accuracies with lm-evaluation-harness.

    python lmeval.py --barka BIN --model DIR --data DIR --work DIR

First, every request of a run of `barka eval` is scored by the harness's HFLM and by
`barka score`, with the same prompts and choices. Then the harness runs its own
arabic_leaderboard tasks, with its usual space before a choice and without it, and
prompts and accuracies are compared.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", CUDA_VISIBLE_DEVICES="")

import datasets  # noqa: E402
import torch  # noqa: E402
from lm_eval import evaluator  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager, get_task_dict  # noqa: E402

import hub  # noqa: E402
from compare import details, only  # noqa: E402

NAMES = {
    **{f"arabic_leaderboard_acva_{s}": f"acva:{s}" for s in ("Bahrain", "Comoros", "Yemen")},
    **{f"arabic_leaderboard_arabic_mmlu_{s}": f"arabic_mmlu:{s}" for s in ("abstract_algebra", "anatomy", "astronomy")},
    **{f"arabic_leaderboard_alghafa_{s}": f"alghafa:{s}" for s in ("mcq_exams_test_ar", "meta_ar_msa", "multiple_choice_sentiment_task")},
    "arabic_exams": "arabic_exams",
    **{f"arabic_mt_{s}": f"{s}_ar" for s in ("race", "piqa", "arc_easy", "boolq", "toxigen", "sciq")},
    "arabic_mt_arc_challenge": "arc_challenge_okapi_ar", "arabic_mt_mmlu": "mmlu_okapi_ar",
    "arabic_mt_openbook_qa": "openbook_qa_ext_ar", "arabic_mt_copa": "copa_ext_ar", "arabic_mt_hellaswag": "hellaswag_okapi_ar",
}  # fmt: skip


def barka(args, border):
    out = pathlib.Path(args.work) / border
    shutil.rmtree(out, ignore_errors=True)  # of an earlier run
    tasks = ",".join(f"community|{t}|0|1" for t in NAMES.values())
    subprocess.run([args.barka, "eval", "--model", args.model, "--data", args.data, "--tasks", tasks, "--dtype", "f32",
                    "--token-boundary", border, "--output-dir", out, "--quiet"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    return out


def difference(a, b):
    d = [abs(x - y) for x, y in zip(a, b)]
    return f"{max(d):.2g} | {sum(d) / len(d):.2g}"


def requests(args, lm):
    """Prompts and choices of barka's own run, answered by the harness and by `barka score`."""
    print("| tasks | requests | max \\|Δ\\|, harness | mean | max \\|Δ\\|, barka score | mean | greedy flags equal |\n"
          "|---|---|---|---|---|---|---|")
    for task, (_, rows) in details(barka(args, "joint")).items():
        pairs = [(r["full_prompt"], c) for r in rows for c in r["choices"]]
        ours = [p for r in rows for p in r["predictions"]]
        theirs = lm.loglikelihood([Instance("loglikelihood", {}, p, i) for i, p in enumerate(pairs)], disable_tqdm=True)
        lines = "".join(json.dumps({"context": r["full_prompt"], "continuations": r["choices"]}) + "\n" for r in rows)
        made = subprocess.run([args.barka, "score", "--model", args.model, "--dtype", "f32", "--quiet"],
                              input=lines.encode(), capture_output=True, check=True)
        scored = [p for line in made.stdout.splitlines() for p in json.loads(line)["logprobs"]]
        same = sum(bool(a[1]) == b[1] for a, b in zip(ours, theirs))
        print(f"| {task} | {len(pairs)} | {difference([o[0] for o in ours], [t[0] for t in theirs])} "
              f"| {difference([o[0] for o in ours], scored)} | {same} |", flush=True)  # fmt: skip


def run(lm, args, delimiter):
    # A task is read once; its own file keeps the harness's delimiter.
    tasks = get_task_dict(list(NAMES), TaskManager())
    for t in tasks.values():
        t.set_config("target_delimiter", delimiter)
    return evaluator.evaluate(lm=lm, task_dict=tasks, bootstrap_iters=0, log_samples=True)


def accuracies(args, lm):
    made = json.loads(only("results/**/results_*.json", barka(args, "joint")).read_text())["results"]
    rows = details(barka(args, "joint"))
    plain, spaced = run(lm, args, ""), run(lm, args, " ")
    print("\n| task | documents | same prompts | barka acc_norm | harness, no space | harness, its space |\n|---|---|---|---|---|---|")
    for name, ours in NAMES.items():
        key = f"community|{ours}|0"
        prompts = {r["full_prompt"] for r in rows[key][1]}
        samples = plain["samples"][name]
        same = sum(s["arguments"][0][0] in prompts for s in samples)
        values = [x["results"][name]["acc_norm,none"] for x in (plain, spaced)]
        print(f"| {ours} | {len(samples)} | {same} | {made[key]['acc_norm']:.4f} | {values[0]:.4f} | {values[1]:.4f} |")


def main():
    p = argparse.ArgumentParser()
    for name in ("barka", "model", "data", "work"):
        p.add_argument("--" + name, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    pathlib.Path(args.work).mkdir(parents=True, exist_ok=True)
    load = datasets.load_dataset
    hub.fill(args.data)
    data = hub.Hub(args.data, str(pathlib.Path(args.work) / "cache"))
    lm = HFLM(pretrained=args.model, dtype="float32", device="cpu", batch_size=4, attn_implementation="eager")
    requests(args, lm)

    def local(path=None, name=None, **other):
        """The hub's datasets from files; the files themselves as ever."""
        return load(path, name, **other) if path in hub.KINDS.values() else data.load(path, name)

    datasets.load_dataset = local
    accuracies(args, lm)


main()
