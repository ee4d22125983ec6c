"""Measures the speed of barka's tokenizers and of the reference libraries, on one thread, in one run.

usage: tokenizer_files.py [--rounds N] [--markdown] [--text FILE…] [TOKENIZER…]

Arabic and English texts are separate, each as short lines and as long texts of about 8,000 characters. Without --text they are
the passages and sentences of the shared reference data, or else reference/tokenizers/corpus.txt. A TOKENIZER is a tokenizer.json
(or .json.gz) or a SentencePiece .model. Without one, the layouts of Gemma and NLLB and the genuine tokenizers of the shared
reference data are measured. In every round a tokenizer with empty caches encodes the texts once; loading is not measured. The
sides alternate, and the fastest round of each counts.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
import zipfile

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tokenizers"))

import sentencepiece  # noqa: E402
import tokenizers  # noqa: E402

import differential  # noqa: E402
import layouts  # noqa: E402

LONG = 8000
ARABIC = re.compile(r"[\u0600-\u06ff]")


def shared_lines(data):
    """Passages of Arabic Wikipedia (ARCD), news (NTREX-128), medicine (TICO-19) and English questions, in both languages."""
    arcd = data / "oall/soqal/arcd-test.json"
    if arcd.exists():
        for article in json.loads(arcd.read_text(encoding="utf-8"))["data"]:
            yield from (p["context"] for p in article["paragraphs"])
    for path in sorted((data / "parallel/ntrex").glob("newstest*.txt")):
        yield from path.read_text(encoding="utf-8").splitlines()
    for path in sorted((data / "parallel/tico19").glob("*.zip")):
        with zipfile.ZipFile(path) as z:
            for segment in xml.fromstring(z.read(next(n for n in z.namelist() if n.endswith(".tmx")))).iter("seg"):
                yield "".join(segment.itertext())
    gsm = data / "english/gsm8k/test.jsonl"
    if gsm.exists():
        yield from (json.loads(l)["question"] for l in gsm.read_text(encoding="utf-8").splitlines())


def samples(lines):
    """The texts of every kind, by name."""
    lines = [l.strip() for l in lines]
    parts = {"Arabic": [l for l in lines if len(ARABIC.findall(l)) * 3 > len(l)], "English": [l for l in lines if l.isascii() and l]}
    out = {}
    for language, part in parts.items():
        out[f"{language} lines"] = part
        long, size = [[]], 0
        for l in part:
            if size > LONG:
                long.append([])
                size = 0
            long[-1].append(l)
            size += len(l) + 1
        out[f"{language} long"] = ["\n".join(ls) for ls in long]
    return {k: v for k, v in out.items() if v and v[0]}


def nllb(gemma, charsmap):
    """The layout of NLLB, with 202 languages and its character map, and the pieces of Gemma: its own file is not free."""
    doc = json.loads(differential.nllb(charsmap))
    doc["model"] = json.loads(differential.read(gemma))["model"] | {"byte_fallback": False}
    size = len(doc["model"]["vocab"])
    languages = [f"{a}{b}{c}_Latn" for a in "ab" for b in "abcdefghij" for c in "abcdefghijk"][:202]
    own = [layouts.added(t, size + i) for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", *languages])]
    doc["added_tokens"] = own + [layouts.added("<mask>", size + len(own), lstrip=True, normalized=True)]
    doc["post_processor"] = layouts.template([(languages[0], size + 4)], [("</s>", size + 2)])
    return json.dumps(doc)


def found(d):
    """The tokenizers to measure."""
    data = differential.SHARED / "tokenizers"
    gemma, charsmap = data / "gemma2/tokenizer.json.gz", data / "small-spm/test_sentencepiece_bpe.model"
    if gemma.exists():
        path = d / "nllb-gemma-pieces.json"
        path.write_text(nllb(gemma, charsmap), encoding="utf-8")
        yield path
    yield from [gemma] if gemma.exists() else [layouts.OUT / "gemma2.json", layouts.OUT / "nllb.json"]
    yield from (p for p in [data / "gpt-neox/20B_tokenizer.json", data / "llama3.2",
                            data / "llama2/tokenizer.json", data / "llama2/tokenizer.model",
                            layouts.OUT / "unigram.json", layouts.OUT / "spm-nllb.model", layouts.OUT / "spm-unigram.model"] if p.exists())


def peer(path):
    """A function that encodes a list of texts, with nothing remembered from earlier calls."""
    if path.suffix == ".model":
        return sentencepiece.SentencePieceProcessor(model_file=str(path)).encode  # remembers nothing
    tok = tokenizers.Tokenizer.from_file(str(path))

    def encode(texts):
        tok.model._clear_cache()
        return tok.encode_batch_fast(texts, add_special_tokens=True)  # without offsets
    return encode


def ours(binary, d):
    """MB/s of one round, by tokenizer and texts."""
    out = subprocess.run([binary, "-test.run=^$", "-test.bench=BenchmarkFiles", "-test.benchtime=1x", "-test.cpu=1"],
                         cwd=differential.ROOT / "internal/tokenizer",
                         env=os.environ | {"BARKA_BENCH_TOKENIZERS": str(d)}, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^BenchmarkFiles/(\S+)/(\S+?)\s+\d+\s.*?([\d.]+) MB/s", out, re.M)
    return {(t, s.replace("_", " ")): float(v) for t, s, v in rows}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--markdown", action="store_true")
    p.add_argument("--text", type=pathlib.Path, action="append", default=[])
    p.add_argument("tokenizer", nargs="*", type=pathlib.Path)
    a = p.parse_args()
    given = [l for f in a.text for l in f.read_text(encoding="utf-8").splitlines()]
    lines = given or list(shared_lines(differential.SHARED)) or layouts.lines()
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        texts = samples(lines)
        (d / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        for path in a.tokenizer or list(found(d)):
            if path.parent != d:
                data, name = differential.read(path), differential.name(path).removesuffix("-gz")
                if isinstance(data, bytes):
                    (d / f"{name}.model").write_bytes(data)
                else:
                    (d / f"{name}.json").write_text(data, encoding="utf-8")
        binary = str(d / "tokenizer.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./internal/tokenizer"], cwd=differential.ROOT, check=True)
        files = sorted(p for p in [*d.glob("*.json"), *d.glob("*.model")] if p.name != "texts.json")
        peers = {f.stem: peer(f) for f in files}
        best = {}
        for _ in range(a.rounds):
            for key, v in ours(binary, d).items():
                best["here", key] = max(best.get(("here", key), 0), v)
            for name, encode in peers.items():
                for kind, sample in texts.items():
                    t = time.perf_counter()
                    encode(sample)
                    v = sum(len(s.encode()) for s in sample) / 1e6 / (time.perf_counter() - t)
                    best["peer", (name, kind)] = max(best.get(("peer", (name, kind)), 0), v)
        report(files, texts, best, a.markdown)


def report(files, texts, best, markdown):
    row = "| {} | {} | {} | {} | {} | {} |" if markdown else "{:28} {:14} {:>9} {:>9} {:>8}  {}"
    print(row.format("tokenizer", "texts", "peer MB/s", "here MB/s", "ratio", "peer"))
    if markdown:
        print("|---|---|---|---|---|---|")
    for f in files:
        library = f"sentencepiece {sentencepiece.__version__}" if f.suffix == ".model" else f"tokenizers {tokenizers.__version__}"
        for kind, sample in texts.items():
            theirs, own = best["peer", (f.stem, kind)], best["here", (f.stem, kind)]
            print(row.format(f.stem, kind, f"{theirs:.1f}", f"{own:.1f}", f"{own / theirs:.1f}", library))
    print()
    print("; ".join(f"{kind}: {len(s)} texts, {sum(len(x.encode()) for x in s) / 1e6:.2f} MB" for kind, s in texts.items()))


if __name__ == "__main__":
    main()
