"""What barka wrote, read by the field's own libraries; run by .ci/run.

    python reference/light/check.py BARKA DEMO_DIRECTORY
"""

import hashlib
import json
import pathlib
import subprocess
import sys

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tokenizers import Tokenizer

LINES = [
    "Hello, world!", "مرحبا بالعالم", "  two  spaces ", "الْعَرَبِيَّةُ لُغَةٌ", "123 ١٢٣ ۱۲۳", "a\tb", "😊🏃‍♂️",
    "ﻻ ﷺ ﬁ", "e\u0301 é", "x = y[0];",
    "عنوان: كتاب — صفحة ٥؟", "ZWNJ می‌خواهم", "<bos> <s> </s>", "", "中文 日本語",
]


def dataset(directory):
    manifest = json.loads((directory / "manifest.json").read_text())
    rows = []
    for f in sorted(directory.glob("part-*.parquet")):
        rows += pq.read_table(f).to_pylist()
    assert len(rows) == manifest["rows"], (directory, len(rows), manifest["rows"])
    return rows


def metadata(mix):
    """The card and the Croissant description of a mix, by the libraries that read them."""
    manifest = json.loads((mix / "manifest.json").read_text())
    card = DatasetCard.load(mix / "README.md").data
    assert card.language == ["ar"] and card.license == "cc0-1.0" and card.size_categories == ["n<1K"], card
    assert [f["split"] for f in card.configs[0]["data_files"]] == ["train", "validation"], card.configs
    for f in card.configs[0]["data_files"]:
        assert list(mix.glob(f["path"])), f

    croissant = mlcroissant.Dataset(jsonld=mix / "croissant.json")
    assert not croissant.metadata.issues.errors, croissant.metadata.issues.report()
    files = [d for d in croissant.metadata.distribution if isinstance(d, mlcroissant.FileObject)]
    for f in files:
        assert hashlib.sha256((mix / f.content_url).read_bytes()).hexdigest() == f.sha256, f.content_url
    for split, directory in (("train", mix), ("validation", mix / "validation")):
        want = [r for f in sorted(directory.glob("part-*.parquet")) for r in pq.read_table(f).to_pylist()]
        got = list(croissant.records(split))
        assert len(got) == len(want) == manifest["counts"][split], (split, len(got), len(want))
        for g, w in zip(got, want):
            assert set(g) == {f"{split}/{name}" for name in w}, (set(g), set(w))
            assert g[f"{split}/id"].decode() == w["id"] and g[f"{split}/revision"] == w["revision"]
            texts = [m[f"{split}/messages/content"].decode() for m in g[f"{split}/messages"]]
            assert texts == [m["content"] for m in w["messages"]]
    print(f"mix: {len(files)} files and {len(croissant.metadata.record_sets)} record sets in croissant.json")


def events(adapter):
    """The events of a training, read by TensorBoard: the steps and values of metrics.jsonl."""
    board = EventAccumulator(str(adapter), size_guidance={"scalars": 0})
    board.Reload()
    steps = [json.loads(line) for line in (adapter / "metrics.jsonl").read_text().splitlines()]
    steps = [s for s in steps if "loss" in s]  # others are evaluations
    for tag, name in {"train/loss": "loss", "train/learning_rate": "lr", "train/grad_norm": "grad_norm", "train/epoch": "epoch",
                      "train/trained_tokens": "trained_tokens", "eval/loss": "val_loss"}.items():
        want = [(s["step"], float(np.float32(s[name]))) for s in steps if name in s]
        got = [(e.step, e.value) for e in board.Scalars(tag)]
        assert got == want and want, (tag, got[:3], want[:3])
    for tag in ("train/tokens_per_second", "train/memory_bytes"):
        assert len(board.Scalars(tag)) == len(steps) and all(e.value > 0 for e in board.Scalars(tag)), tag
    print(f"events: {len(steps)} steps, tags {', '.join(board.Tags()['scalars'])}")


def main():
    barka, demo = sys.argv[1], pathlib.Path(sys.argv[2])
    for name in ("1-passages", "2-instructions", "3-translated", "4-clean", "5-mix"):
        rows = dataset(demo / name)
        print(f"{name}: {len(rows)} rows")
    assert all(m["role"] in ("user", "assistant") for r in rows for m in r["messages"])
    assert all(t["from"] in ("human", "gpt") for r in rows for t in r["conversations"])

    metadata(demo / "5-mix")

    events(demo / "6-adapter")
    with safe_open(demo / "inputs/models/gemma2/model.safetensors", "np") as f:
        names = list(f.keys())
    with safe_open(demo / "6-adapter/adapter_model.safetensors", "np") as f:
        adapter = {k: f.get_tensor(k) for k in f.keys()}
    config = json.loads((demo / "6-adapter/adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["r"] == 8
    assert all(np.isfinite(v).all() for v in adapter.values())
    assert any(np.abs(v).max() > 0 for k, v in adapter.items() if "lora_B" in k), "nothing was trained"
    with safe_open(demo / "7-merged/model.safetensors", "np") as f:
        assert sorted(f.keys()) == sorted(names)
    print(f"adapter: {len(adapter)} tensors, rank {config['r']}; merged: {len(names)} tensors")

    for name in ("gemma2", "nllb"):
        model = demo / "inputs/models" / name
        tok = Tokenizer.from_file(str(model / "tokenizer.json"))
        lines = [s for s in LINES if "\n" not in s]
        out = subprocess.run([barka, "tokenize", "--model", str(model)], input="\n".join(lines) + "\n",
                             capture_output=True, text=True, check=True)
        got = [[int(i) for i in l.split(",") if i] for l in out.stdout.split("\n")[:len(lines)]]
        want = [tok.encode(s).ids for s in lines]
        for s, g, w in zip(lines, got, want):
            assert g == w, (name, s, g, w)
        print(f"{name}: {len(lines)} lines tokenized alike")


if __name__ == "__main__":
    main()
