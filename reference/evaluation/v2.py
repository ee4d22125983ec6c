"""Runs lighteval 0.13.0's own tasks of the leaderboard's version 2 and compares barka with them.

    python v2.py --barka BIN --model DIR --work DIR [--dtype float32] [--pairwise]

The rows are the fixture's. Prompts, choices, the log-likelihoods of all requests and the
outcome of every question are compared. ALRAGE needs a judge and is left out. After an
instruction, 0.13.0 writes two more line breaks than the versions that the leaderboard ran
(0.8.1 has the older code). They are removed here, so that both programs score the same text.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", CUDA_VISIBLE_DEVICES="")

import lighteval.tasks.lighteval_task as task  # noqa: E402
import lighteval.tasks.multilingual.tasks.arabic as arabic  # noqa: E402
import torch  # noqa: E402
from lighteval.logging.evaluation_tracker import EvaluationTracker  # noqa: E402
from lighteval.models.transformers.transformers_model import TransformersModelConfig  # noqa: E402
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters  # noqa: E402
from lighteval.tasks.prompt_manager import PromptManager  # noqa: E402
from lighteval.tasks.registry import Registry  # noqa: E402

import hub  # noqa: E402
from compare import details  # noqa: E402

FIXTURE = pathlib.Path(__file__).resolve().parents[2] / "internal/eval/testdata/hub"
TASKS = [
    "arabic_exams", "alghafa:meta_ar_msa", "alghafa:multiple_choice_grounded_statement_soqal_task",
    "arabic_mmlu:Driving Test", "arabic_mmlu:Islamic Studies (High School)", "arabic_mmlu_ht:anatomy",
    "arabic_mmlu_ht:virology", "madinah_qa:Arabic Language (General)", "madinah_qa:Arabic Language (Grammar)",
    "aratrust:Ethics",
]  # fmt: skip


def theirs(args, work):
    """Maps a task to its questions: prompt, choices, log-likelihoods, gold, score."""
    with tempfile.TemporaryDirectory() as cache:
        task.load_dataset = hub.Hub(FIXTURE, cache).load
        # Others of lighteval's files download what they need when they are imported.
        Registry.load_all_task_configs = staticmethod(lambda **_: Registry._extract_configs(arabic))
        # Its cache of answers would land in the model's own directory.
        model = shutil.copytree(args.model, work / "model")
        PromptManager._prepare_plain_text = lambda _, doc: doc.query
        config = TransformersModelConfig(
            model_name=str(model), dtype=args.dtype, batch_size=4, device="cpu", cache_dir=str(work),
            pairwise_tokenization=args.pairwise, model_loading_kwargs={"attn_implementation": "eager"},
            override_chat_template=False,
        )  # fmt: skip
        pipeline = Pipeline(
            tasks=",".join(f"{t}|0" for t in TASKS), model_config=config,
            evaluation_tracker=EvaluationTracker(output_dir=str(work / "lighteval"), save_details=False),
            pipeline_parameters=PipelineParameters(launcher_type=ParallelismManager.ACCELERATE),
        )  # fmt: skip
        pipeline.evaluate()
    out = {}
    for name, rows in pipeline.evaluation_tracker.details_logger.details.items():
        out[name.removesuffix("|0")] = [
            (r.doc.query, r.doc.choices, r.model_response.logprobs, r.doc.gold_index, next(iter(r.metric.values()))) for r in rows
        ]
    return out


def ours(args, work):
    border = "pairwise" if args.pairwise else "guarded"
    command = [args.barka, "eval", "--model", args.model, "--data", FIXTURE, "--output-dir", work / "barka",
               "--quiet", "--token-boundary", border, "--tasks", ",".join(f"community|{t}|0|1" for t in TASKS),
               "--dtype", {"float32": "f32", "bfloat16": "bf16"}[args.dtype]]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {name.split("|")[1]: rows for name, (_, rows) in details(work / "barka").items()}


def main():
    p = argparse.ArgumentParser()
    for name in ("barka", "model", "work"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--dtype", default="float32")
    p.add_argument("--pairwise", action="store_true")
    args = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.work, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(dir=args.work))
    a, b = theirs(args, work), ours(args, work)
    print("| task | questions | same prompts, choices, gold | max \\|Δ\\| | mean \\|Δ\\| | same score |\n|---|---|---|---|---|---|")
    worst, bad = 0, a.keys() != b.keys()
    for name, rows in a.items():
        made = {r["full_prompt"]: r for r in b[name]}
        d, same, scored = [], 0, 0
        for query, choices, logprobs, gold, value in rows:
            r = made.get(query)
            if r is None or r["choices"] != list(choices) or r["gold_index"] != (gold if isinstance(gold, list) else [gold]):
                continue
            same += 1
            d += [abs(x - y[0]) for x, y in zip(logprobs, r["predictions"], strict=True)]
            scored += next(iter(r["metrics"].values())) == value
        bad |= not (same == scored == len(rows) == len(b[name]))
        worst = max([worst, *d])
        print(f"| {name} | {len(rows)} | {same} | {max(d, default=-1):.2g} | {sum(d) / max(len(d), 1):.2g} | {scored} |")
    raise SystemExit(bad or worst > (1e-4 if args.dtype == "float32" else 0.5))


main()
