"""Compares this project's tokenizers with the reference libraries on many drawn texts.

usage: differential.py [--cases N] [--seed N] [TOKENIZER…]

A TOKENIZER is a tokenizer.json (or .json.gz), a SentencePiece .model, or a model directory. Without one: the small
tokenizers of internal/tokenizer/testdata/layouts, and those under the shared reference data if it is there. Extra text
for the drawn cases is taken from the files named by --text.
"""

import argparse
import base64
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import sentencepiece
from tokenizers import Tokenizer

import cases
import layouts

ROOT = layouts.HERE.parent.parent
SHARED = pathlib.Path(os.environ.get("BARKA_SHARED", ROOT.parent / "shared")) / "data"


def found():
    yield from sorted(p for p in layouts.OUT.iterdir() if p.suffix in (".json", ".model"))
    t = SHARED / "tokenizers"
    yield from (p for p in [t / "gemma2/tokenizer.json.gz", t / "gpt-neox/20B_tokenizer.json",
                            t / "llama2/tokenizer.json", t / "llama2/tokenizer.model", t / "llama3.2",
                            *sorted((t / "small-spm").glob("*.model"))] if p.exists())


def llama3(folder):
    """The tokenizer.json of Llama 3, from its vocabulary and merges."""
    vocab = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    merges = [m for m in (folder / "vocab.bpe").read_text(encoding="utf-8").split("\n") if m and not m.startswith("#version")]
    special = {0: "<|begin_of_text|>", 1: "<|end_of_text|>", 6: "<|start_header_id|>", 7: "<|end_header_id|>", 9: "<|eot_id|>"}
    own = [layouts.added(special.get(i, f"<|reserved_special_token_{i}|>"), 128000 + i) for i in range(256)]
    doc = layouts.llama3()
    doc["model"] |= {"vocab": vocab, "merges": merges}
    doc["added_tokens"] = own
    doc["post_processor"] = layouts.template([("<|begin_of_text|>", 128000)])
    return json.dumps(doc)


def nllb(path):
    """The NLLB layout with the full character map of a SentencePiece model."""
    doc = layouts.nllb_charsmap()
    doc["normalizer"]["normalizers"][0]["precompiled_charsmap"] = base64.b64encode(layouts.charsmap(path.read_bytes())).decode()
    return json.dumps(doc)


def read(path):
    """Returns the text of a tokenizer.json, or the bytes of a SentencePiece model."""
    if path.is_dir():
        if (path / "encoder.json").exists():
            return llama3(path)
        return read(next(path / n for n in ("tokenizer.json", "tokenizer.model") if (path / n).exists()))
    if path.suffix == ".model":
        return path.read_bytes()
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")


def name(path):
    return "-".join(path.parts[-2:]).replace(".", "-")


def go_test(run, **env):
    return subprocess.run(["go", "test", "-count=1", "-v", "-run", run, "./internal/tokenizer"], cwd=ROOT,
                          env=os.environ | env, capture_output=True, text=True)


def compare(folder):
    """Reads the folder's tokenizers and their records with this project's code; returns the exit status."""
    out = go_test("TestLayouts", BARKA_DIFFERENTIAL=str(folder))
    counts = [(int(n), int(bad)) for n, bad in re.findall(r"(\d+) cases, (\d+) differ", out.stdout)]
    print(out.stdout, out.stderr)
    print(f"{len(counts)} tokenizers, {sum(n for n, _ in counts)} cases, {sum(bad for _, bad in counts)} differ")
    return out.returncode


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cases", type=int, default=3000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--text", type=pathlib.Path, action="append", default=[])
    p.add_argument("tokenizer", nargs="*", type=pathlib.Path)
    a = p.parse_args()
    text = layouts.lines() + [l for f in a.text for l in cases.corpus(f)]
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        for path in a.tokenizer or found():
            data = read(path)
            if path.name == "test_sentencepiece_bpe.model":
                full = nllb(path)
                (d / "nllb-full-charsmap.json").write_text(full, encoding="utf-8")
                cases.write(d / "nllb-full-charsmap.jsonl.gz", layouts.provenance(a.cases),
                            cases.record(Tokenizer.from_str(full), a.cases, a.seed, text))
            if isinstance(data, bytes):
                (d / f"{name(path)}.model").write_bytes(data)
                sp = sentencepiece.SentencePieceProcessor(model_proto=data)
                rows = layouts.pieces(sp, a.cases, a.seed, text)
            else:
                (d / f"{name(path)}.json").write_text(data, encoding="utf-8")
                rows = cases.record(Tokenizer.from_str(data), a.cases, a.seed, text)
            cases.write(d / f"{name(path)}.jsonl.gz", layouts.provenance(a.cases), rows)
        sys.exit(compare(d))


if __name__ == "__main__":
    main()
