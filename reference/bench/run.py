"""Runs barka and its peers alternately on the same work and machine, and prints one table.

    python reference/bench/run.py --barka BINARY --dir DIR [--llamacpp DIR] [--work prefill …] [--json FILE]

DIR keeps checkpoints, converted models and texts (about 10 GB for the default shapes). In each round every program runs once, in
its own process, on the same token ids and with the same number of threads. The rates of all rounds are evaluated together. The
machine must be idle; its load is printed. The table is Markdown; --json writes every rate.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# work, barka's type, peer, the peer's type, and by what factor barka is to be faster.
PAIRS = [
    ("prefill", "bf16", "llama.cpp", "bf16", 1.2), ("prefill", "int8", "llama.cpp", "q8_0", 1.2),
    ("prefill", "bf16", "transformers", "bf16", None), ("prefill", "f32", "transformers", "f32", None),
    ("decode", "bf16", "llama.cpp", "bf16", 1.05), ("decode", "int8", "llama.cpp", "q8_0", 1.05),
    ("decode", "bf16", "transformers", "bf16", None), ("decode", "f32", "transformers", "f32", None),
    ("lora", "bf16", "transformers", "bf16", 3.0), ("lora", "f32", "transformers", "f32", None),
    ("choice", "bf16", "transformers", "bf16", 8.0), ("choice", "f32", "transformers", "f32", 8.0),
    ("translate", "int8", "CTranslate2", "int8", 1.0), ("translate", "bf16", "CTranslate2", "float32", 1.0),
    ("translate", "f32", "CTranslate2", "float32", None), ("translate", "bf16", "CTranslate2", "bfloat16", None),
    ("tokenize", "", "tokenizers", "", 1.5),
]
SCRIPTS = {"llama.cpp": "llamacpp_peer.py", "transformers": "transformers_peer.py",
           "CTranslate2": "ctranslate2_peer.py", "tokenizers": "tokenizers_peer.py"}


@dataclass
class Side:
    """barka or a peer with one type of weights at one work: its rates by variant, or why there are none."""
    name: str
    dtype: str
    command: list
    rates: dict = field(default_factory=dict)
    last: dict = field(default_factory=dict)  # the latest result of a variant
    peak: dict = field(default_factory=dict)
    ceiling: dict = field(default_factory=dict)
    failed: str = ""

    def __str__(self):
        return f"{self.name} {self.dtype}".strip()

    def run(self, limit):
        out, self.failed = call(self.command, limit)
        for r in json.loads(out or "[]"):
            v = r["variant"]
            if r["work"] == "ceiling":
                continue
            self.rates.setdefault(v, []).extend(r["rates"])
            self.last[v] = r
            self.peak[v] = max(self.peak.get(v, 0), r["peak_rss_bytes"])
            self.ceiling[v] = max(self.ceiling.get(v, 0), r.get("ceiling", 0))


def call(command, limit):
    """A command's output, and the last line of what it says when it fails."""
    try:
        p = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return "", f"took more than {limit} s"
    except OSError as e:
        return "", str(e)
    if p.returncode:
        last = (p.stderr.strip().splitlines() or [f"exit code {p.returncode}"])[-1]
        return "", json.loads(last).get("message", last) if last.startswith("{") else last
    return p.stdout, ""


def must(command):
    out, failed = call(command, None)
    if failed:
        sys.exit(f"{command[0]}: {failed}")
    return out


def sides(args, pairs, work, here, there):
    """The sides of a work, by name and type; `here` and `there` are the further arguments of barka and of the peers."""
    out = {}
    for w, dtype, peer, peer_dtype, _ in pairs:
        if w != work:
            continue
        own = [args.barka, "bench", work, "--json", "--quiet", "--threads", args.threads, "--repeat", args.repeat, *here]
        out.setdefault(("barka", dtype), Side("barka", dtype, own + (["--dtype", dtype] if dtype else [])))
        script = [sys.executable, HERE / SCRIPTS[peer], work, "--repeat", args.repeat, *there]
        if peer_dtype:
            script += ["--dtype", peer_dtype, "--threads", args.threads]
        if peer == "llama.cpp":
            script += ["--llamacpp", args.llamacpp or ""]
        side = out.setdefault((peer, peer_dtype), Side(peer, peer_dtype, script))
        if peer == "llama.cpp" and not args.llamacpp:
            side.failed = "--llamacpp is not given"
        elif peer in ("llama.cpp", "CTranslate2"):
            side.failed = side.failed or call(script + ["--convert"], args.limit)[1]
    return out


def take_turns(args, what, sides):
    for n in range(args.rounds):
        for s in sides.values():
            if not s.failed:
                start = time.monotonic()
                s.run(args.limit)
                print(f"{what}, round {n + 1}, {s}: {s.failed or f'{time.monotonic() - start:.0f} s'}", file=sys.stderr, flush=True)


def compare(pairs, what, work, sides):
    """Rows and notes of a work's pairs."""
    rows, notes = [], []
    for w, dtype, peer, peer_dtype, target in pairs:
        if w != work:
            continue
        here, there = sides["barka", dtype], sides[peer, peer_dtype]
        if here.failed or there.failed:
            notes += [f"{what}, {here} beside {there}: not measured; {s}: {s.failed}" for s in (here, there) if s.failed]
            continue
        for variant in here.rates:
            rows.append({"what": what, "variant": variant, "unit": here.last[variant]["unit"],
                         "barka": figures(here, variant), "peer": figures(there, variant), "target": target})
    return rows, notes


def figures(side, variant):
    rates = side.rates[variant]
    best, ceiling = max(rates), side.ceiling[variant]
    return {"name": str(side), "best": best, "median": statistics.median(rates), "rates": rates,
            "share": best / ceiling if ceiling else None, "peak_bytes": side.peak[variant], "outcome": side.last[variant].get("outcome", 0)}


def models(args, pairs):
    """Rows and notes of everything that runs on a checkpoint."""
    for shape in args.shape:
        name, _, layers = shape.partition(":")
        flags = ["--dir", args.dir, "--shape", name, "--layers", layers or args.layers]
        model = must([args.barka, "bench", "--write", "--quiet", *flags]).strip()
        for work in json.loads((pathlib.Path(model) / "inputs.json").read_text()):
            if any(p[0] == work for p in pairs):
                what = f"{work}, {pathlib.Path(model).name}"
                both = sides(args, pairs, work, flags, ["--model", model])
                take_turns(args, what, both)
                yield compare(pairs, what, work, both)


def tokenizers(args, pairs):
    if not any(p[0] == "tokenize" for p in pairs):
        return
    import tokenizers_peer
    for tok in (prepared := tokenizers_peer.prepare(args.dir))[0]:
        for text in prepared[1]:
            files = ["--tokenizer", tok, "--text", text]
            both = sides(args, pairs, "tokenize", files, files)
            take_turns(args, f"tokenize, {tok.name}, {text.stem}", both)
            yield compare(pairs, "tokenize", "tokenize", both)


def machine(args):
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    flags = set(re.search(r"^flags\s*: (.*)", cpu, re.M)[1].split())
    doctor = [json.loads(l) for l in must([args.barka, "doctor", "--fast", "--json"]).splitlines()]
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) >> 20
    return {"processor": re.search(r"^model name\s*: (.*)", cpu, re.M)[1], "cores": os.cpu_count(),
            "memory": f"{memory} GiB", "system": f"{platform.system()} {platform.release()}",
            "instructions": [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_bf16") if f in flags],
            "kernels of barka": next((r["found"] for r in doctor if r["what"] == "kernels"), "?"),
            "load before": round(os.getloadavg()[0], 2)}


def versions(args):
    commit = must(["git", "-C", ROOT, "describe", "--always", "--dirty"]).strip()
    out = {"barka": f"{must([args.barka, '--version']).split()[-1]} ({commit})", "python": platform.python_version()}
    out |= {n: importlib.metadata.version(n) for n in ("torch", "transformers", "peft", "ctranslate2", "tokenizers")}
    return out | {"llama.cpp": "of llama-cpp-python " + re.search(r"^version=(\S+)", (HERE / "build_llamacpp.sh").read_text(), re.M)[1]}


def number(v):
    return f"{v:.0f}" if v >= 100 else f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def agreement(a, b):
    """How far two outcomes are apart."""
    if not a or not b:
        return ""
    return "equal" if a == b else f"{abs(a - b) / abs(b):.0e}"


def table(rows):
    yield "| work | variant | unit | barka | share of ceiling | memory | peer | | memory | ratio | of medians | target | outcomes apart |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for r in rows:
        a, b = r["barka"], r["peer"]
        side = lambda s: f"{number(s['best'])} ({number(s['median'])})"  # noqa: E731
        share = f"{100 * a['share']:.0f} %" if a["share"] else ""
        ratio, target = a["best"] / b["best"], r["target"]
        cells = [r["what"], r["variant"], r["unit"], f"{a['name'].removeprefix('barka ')}: {side(a)}", share,
                 f"{a['peak_bytes'] / 2**30:.2f} GiB", b["name"], side(b),
                 f"{b['peak_bytes'] / 2**30:.2f} GiB", f"{ratio:.2f}", f"{a['median'] / b['median']:.2f}",
                 f"≥ {target:g}: {'yes' if ratio >= target else 'no'}" if target else "", agreement(a["outcome"], b["outcome"])]
        yield "| " + " | ".join(cells) + " |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--barka", required=True, type=pathlib.Path)
    p.add_argument("--dir", required=True, type=pathlib.Path)
    p.add_argument("--llamacpp", type=pathlib.Path, help="the directory of build_llamacpp.sh")
    p.add_argument("--shape", action="append", help="NAME or NAME:LAYERS; gemma-2-2b and nllb-600m by default")
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--work", action="append", choices=sorted({w for w, *_ in PAIRS}))
    p.add_argument("--peer", action="append", choices=SCRIPTS)
    p.add_argument("--dtype", action="append", choices=["bf16", "f32", "int8"], help="barka's type of weights")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeat", type=int, default=3, help="measurements in a round")
    p.add_argument("--limit", type=int, default=900, help="seconds of one process")
    p.add_argument("--json", type=pathlib.Path)
    args = p.parse_args()
    args.shape = args.shape or ["gemma-2-2b", "nllb-600m"]
    args.barka = args.barka.resolve()
    args.dir.mkdir(parents=True, exist_ok=True)
    pairs = [q for q in PAIRS if (not args.work or q[0] in args.work) and (not args.peer or q[2] in args.peer)
             and (not args.dtype or q[1] in args.dtype or not q[1])]
    about, rows, notes = {"machine": machine(args), "versions": versions(args), "threads": args.threads,
                          "rounds": args.rounds, "repeat": args.repeat}, [], []
    for part in (models(args, pairs), tokenizers(args, pairs)):
        for r, n in part:
            rows, notes = rows + r, notes + n
    about["machine"]["load after"] = round(os.getloadavg()[0], 2)
    for key in ("machine", "versions"):
        print(f"{key}: " + "; ".join(f"{k} {' '.join(v) if isinstance(v, list) else v}" for k, v in about[key].items()) + "  ")
    print(f"{args.threads} threads, {args.rounds} rounds of {args.repeat} measurements: best (median)\n")
    print("\n".join(table(rows)))
    print("".join(f"\n{n}  " for n in notes))
    if args.json:
        args.json.write_text(json.dumps(about | {"rows": rows, "notes": notes}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
