"""Runs lighteval and barka alternately and compares their files.

    python run.py --barka BIN --work DIR [--data DIR] [--golden] [CASE…]

Cases on the fixture need no data. The others need DIR, made by `barka eval convert`
from AceGPT's files; tasks without data get synthetic rows (hub.py). Prints one
Markdown section per case. --golden also writes lighteval's results to
internal/eval/testdata/lighteval, for the Go tests.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import pyarrow.parquet
import tokenizers

import hub
from compare import only

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "internal/eval/testdata/lighteval"
FIXTURE = """
    arabic_mmlu:abstract_algebra arabic_mmlu:anatomy arabic_exams acva:Iraq acva:Yemen alghafa:meta_ar_msa
    alghafa:multiple_choice_grounded_statement_soqal_task piqa_ar boolq_ar copa_ext_ar hellaswag_okapi_ar toxigen_ar
""".split()
STORY = "lighteval|xstory_cloze:ar|{}|0"
MMLU = "anatomy high_school_european_history security_studies professional_law marketing".split()


def listed(names, shots=0, more=()):
    return ",".join([f"community|{n}|{shots}|1" for n in names] + list(more))


def everything():
    table = (ROOT / "internal/eval/tasks/tasks.tsv").read_text().splitlines()[1:]
    return ",".join(line.split("\t")[0] + "|1" for line in table)


SCIQ = ["community|sciq_ar|0|1"]
SOME = ["acva:Algeria", "arabic_exams", *(f"arabic_mmlu:{s}" for s in MMLU)]
# name: model, type, tasks, --data (None: the fixture), options of both programs.
CASES = {
    "gemma2": ("demo", "float32", listed(FIXTURE, 0, [*SCIQ, STORY.format(0)]), None, {}),
    "gemma2-bfloat16": ("demo", "bfloat16", listed(FIXTURE, 0, [*SCIQ, STORY.format(0)]), None, {}),
    "gemma2-shots": ("demo", "float32",
                     listed(["arabic_mmlu:anatomy", "arabic_mmlu:abstract_algebra"], 2,
                            ["community|acva:Iraq|1|1", STORY.format(3)]), None, {}),
    "gemma2-chat": ("demo", "float32",
                    listed(["arabic_mmlu:anatomy", "boolq_ar", "acva:Iraq"], 0, ["community|arabic_mmlu:abstract_algebra|2|1"]),
                    None, {"chat": True}),
    "gemma2-samples": ("demo", "float32", listed(["arabic_exams", "acva:Iraq", "piqa_ar", "hellaswag_okapi_ar"]), None, {"max-samples": 3}),
    "gptneox": ("gptneox", "float32", listed(FIXTURE, 0, [*SCIQ, STORY.format(0)]), None, {}),
    "llama": ("llama", "float32", listed(FIXTURE, 0, [*SCIQ, STORY.format(0)]), None, {}),
    "qwen2": ("qwen2", "float32", listed(FIXTURE, 0, [*SCIQ, STORY.format(0)]), None, {}),
    "mistral-shots": ("mistral", "float32",
                      listed(["arabic_mmlu:anatomy", "arabic_mmlu:abstract_algebra"], 2, [STORY.format(1)]), None, {}),
    "all": ("demo", "float32", everything, "data", {"max-samples": 25}),
    "all-bfloat16": ("demo", "bfloat16", everything, "data", {"max-samples": 25}),
    "all-llama": ("llama", "float32", everything, "data", {"max-samples": 10}),
    "all-gptneox": ("gptneox", "float32", everything, "data", {"max-samples": 10}),
    "shots-3": ("demo", "float32", listed(SOME, 3, [STORY.format(3)]), "data", {"max-samples": 20}),
    "shots-5": ("demo", "float32", listed(SOME, 5, [STORY.format(5)]), "data", {"max-samples": 20}),
    "chat": ("demo", "float32", listed(SOME, 0, ["community|boolq_ar|0|1"]), "data", {"max-samples": 20, "chat": True}),
    "chat-5": ("demo", "float32", listed(SOME, 5), "data", {"max-samples": 20, "chat": True}),
    "gptneox-float16": ("gptneox", "float16", listed(SOME, 0, [STORY.format(0)]), "data", {"max-samples": 60}),
}  # fmt: skip
BATCH = 4


def checkpoint(name, work):
    """The demonstration's model, or a checkpoint of testdata with a tokenizer of bytes."""
    if name == "demo":
        return ROOT / "testdata/chain/models/gemma2"
    directory = pathlib.Path(work) / "models" / name
    directory.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        shutil.copyfile(ROOT / "testdata/models" / name / file, directory / file)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(GOLDEN / "bytes" / file, directory / file)
    return directory


def make_tokenizer(directory):
    """Every byte is a token, 256 ends a text."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    t = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    t.add_special_tokens(["<|endoftext|>"])
    directory.mkdir(parents=True, exist_ok=True)
    t.save(str(directory / "tokenizer.json"))
    config = {"eos_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


def run(command, log):
    with open(log, "w") as f:
        if subprocess.run(command, stdout=f, stderr=subprocess.STDOUT).returncode:
            sys.exit(f"{' '.join(map(str, command))} failed: see {log}")


def options(given):
    return [x for k, v in given.items() for x in ([f"--{k}"] if v is True else [f"--{k}", str(v)])]


def write_golden(name, theirs, settings):
    """Writes results.json as lighteval wrote it, except for the model's name, and scores.tsv with the scores of its details.

    config_tasks is stored once. Results in 16 bits depend on the machine and are not stored.
    """
    directory = GOLDEN / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    results = only("results/**/results_*.json", theirs)
    parsed = json.loads(results.read_text())
    parsed["config_general"]["model_name"] = settings["model"]  # a path of this machine otherwise
    if name != "gemma2":
        parsed.pop("config_tasks")
    if settings["dtype"] == "float32":
        (directory / "results.json").write_text(json.dumps(parsed, indent=2))
    with open(directory / "scores.tsv", "w", encoding="utf-8") as f:
        f.write("task\tscores\tgreedy\ttruncated\tpadded\tvalue\n")
        stamp = results.stem.removeprefix("results_")
        for path in sorted((theirs / "details").glob(f"**/{stamp}/*.parquet")):
            task = path.name.removeprefix("details_").removesuffix(f"_{stamp}.parquet")
            for row in pyarrow.parquet.read_table(path).to_pylist():
                columns = ([p[0] for p in row["predictions"]], [int(p[1]) for p in row["predictions"]], row["truncated"], row["padded"])
                f.write("\t".join([task, *map(json.dumps, columns), str(*row["metrics"].values())]) + "\n")
    (directory / "case.json").write_text(json.dumps(settings, ensure_ascii=False, indent=1) + "\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("cases", nargs="*", metavar="CASE")
    p.add_argument("--barka", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--data")
    p.add_argument("--golden", action="store_true")
    args = p.parse_args()
    work, here = pathlib.Path(args.work), pathlib.Path(__file__).parent
    if not (GOLDEN / "bytes").exists():
        make_tokenizer(GOLDEN / "bytes")
    if args.data:
        hub.fill(args.data)
    bad = 0
    for name in args.cases or CASES:
        kind, dtype, tasks, data, given = CASES[name]
        if data and not args.data:
            continue
        tasks = tasks() if callable(tasks) else tasks
        model, data = checkpoint(kind, work), args.data if data else ROOT / "internal/eval/testdata/hub"
        theirs, ours = work / name / "lighteval", work / name / "barka"
        shutil.rmtree(work / name, ignore_errors=True)
        theirs.mkdir(parents=True)
        common = ["--model", model, "--data", data, "--tasks", tasks, *options({k: v for k, v in given.items() if k != "chat"})]
        run([sys.executable, here / "peer.py", *common, "--out", theirs, "--dtype", dtype, "--batch", str(BATCH),
             *(["--chat"] if "chat" in given else [])], work / name / "lighteval.log")
        short = {"float32": "f32", "float16": "f32", "bfloat16": "bf16"}[dtype]
        run([args.barka, "eval", *common, "--output-dir", ours, "--dtype", short,
             "--override-batch-size", str(BATCH), *(["--use-chat-template"] if "chat" in given else [])], work / name / "barka.log")
        print(f"## {name}: {kind}, {dtype}{''.join(f', {k} {v}' for k, v in given.items())}\n", flush=True)
        tolerance = {"float32": "1e-4", "float16": "0.5", "bfloat16": "1"}[dtype]
        bad += subprocess.run([sys.executable, here / "compare.py", theirs, ours, "--tolerance", tolerance]).returncode
        if args.golden:
            settings = {"model": kind, "dtype": dtype, "tasks": tasks, "batch": BATCH, "chat": "chat" in given,
                        "max_samples": given.get("max-samples", 0)}
            write_golden(name, theirs, settings)
    sys.exit(bad > 0)


main()
