"""Evaluates Gemma 3 270M, as its GGUF file holds it, in float32, bfloat16 and int8 on Arabic benchmarks, and compares the answers.

    python quantised.py --barka BIN --work DIR --data DIR [--samples 40] [--model FILE.gguf]

DIR of --data has oall/acegpt (README.md). EXAMS is taken whole, ACVA and Arabic MMLU with the first SAMPLES
questions of each task. Interrupted, the same command goes on. Results are in WORK/quantised.json, from which
`gguf_run.py --doc` takes its table.
"""

import argparse
import glob
import json
import pathlib
import subprocess

import pyarrow.parquet

TYPES = ("f32", "bf16", "int8")


def run(barka, *words):
    return subprocess.run([str(w) for w in (barka, *words)], check=True, capture_output=True, text=True, encoding="utf-8").stdout


def choices(directory):
    """The choice of each question, by the leaderboard's rule: the largest log-probability per character."""
    found = {}
    for file in glob.glob(f"{directory}/details/**/*.parquet", recursive=True):
        task = pathlib.Path(file).name.split("|")[1]
        for i, row in enumerate(pyarrow.parquet.read_table(file).to_pylist()):
            each = [p[0] / len(c) for p, c in zip(row["predictions"], row["choices"], strict=True)]
            best = each.index(max(each))
            if (best in row["gold_index"]) != bool(row["metrics"]["acc_norm"]):
                raise SystemExit(f"{task}, question {i}: choice {best} contradicts acc_norm")
            found[task, i] = best
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--barka", "--work", "--data"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--types", default=",".join(TYPES))
    args = parser.parse_args()
    if not args.model:
        import weights
        (args.work / "gemma3").mkdir(parents=True, exist_ok=True)
        args.model = weights.gemma3_file(args.work / "gemma3")
    bench, types = args.work / "bench", args.types.split(",")
    if not bench.exists():
        run(args.barka, "eval", "convert", args.data / "oall/acegpt", bench)
    rows = []
    for part, tasks, most in (("exams", "arabic_exams", 0), ("forty", "acva,arabic_mmlu", args.samples)):
        outputs = {t: args.work / "q" / f"{part}-{t}" for t in types}
        for dtype, out in outputs.items():
            if not list(out.glob("results/*/results_*.json")):
                run(args.barka, "eval", "run", "--model", args.model, "--dtype", dtype, "--tasks", tasks, "--max-samples", most,
                    "--data", bench, "--output-dir", out, "--offline", "--quiet")
        answers = {t: choices(out) for t, out in outputs.items()}
        for a, b in [(a, b) for a, b in (("f32", "bf16"), ("f32", "int8"), ("bf16", "int8")) if a in outputs and b in outputs]:
            compared = json.loads(run(args.barka, "compare", outputs[a], outputs[b], "--json").splitlines()[0])
            for row in compared["rows"]:
                of = {"ACVA": "acva:", "MMLU": "arabic_mmlu:", "EXAMS": "arabic_exams"}[row["name"]]
                asked = [k for k in answers[a] if k[0].startswith(of)]
                same = sum(answers[a][k] == answers[b][k] for k in asked) / len(asked)
                rows.append({"types": [a, b], "same": same} | row)
    (args.work / "quantised.json").write_text(json.dumps({"samples": args.samples, "rows": rows}, indent=1))
    for r in rows:
        print(json.dumps(r))


if __name__ == "__main__":
    main()
