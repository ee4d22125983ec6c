"""HF tokenizers on the work tokenize of `barka bench`: each line of a text is one input; one thread, empty caches."""

import argparse
import os
import pathlib
import tempfile

os.environ["RAYON_NUM_THREADS"] = "1"

import measure  # noqa: E402


def checksum(ids):
    """Of all token ids, as bench.Checksum."""
    total = 0
    for i in ids:
        total = (total * 65599 + i + 1) % (2**31 - 1)
    return total


def prepare(folder):
    """Directories of tokenizers in the layouts of Gemma and NLLB, and texts, in folder; see tokenizer_files.py. Lines end texts here,
    so the long ones have spaces for them."""
    import tokenizer_files as files
    dirs, texts = [], []
    with tempfile.TemporaryDirectory() as d:
        for path in files.found(pathlib.Path(d)):
            name = next((n for n in ("nllb", "gemma") if path.suffix != ".model" and n in f"{path.parent.name}/{path.name}"), None)
            out = folder / f"tokenizer-{name}"
            if name and out not in dirs:
                out.mkdir(parents=True, exist_ok=True)
                (out / "tokenizer.json").write_text(files.differential.read(path), encoding="utf-8")
                dirs.append(out)
    for kind, sample in files.samples(list(files.shared_lines(files.differential.SHARED)) or files.layouts.lines()).items():
        texts.append(folder / f"{kind}.txt")
        texts[-1].write_text("".join(" ".join(s.splitlines()) + "\n" for s in sample), encoding="utf-8")
    return dirs, texts


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("work", choices=["tokenize"])
    p.add_argument("--tokenizer", required=True, type=pathlib.Path)
    p.add_argument("--text", required=True, type=pathlib.Path)
    p.add_argument("--repeat", type=int, default=3)
    args = p.parse_args()
    import tokenizers
    tok = tokenizers.Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    lines = [l for l in args.text.read_text(encoding="utf-8").split("\n") if l]

    def encode():
        tok.model._clear_cache()
        return tok.encode_batch_fast(lines, add_special_tokens=True)  # without offsets
    run = measure.once(lambda: checksum(i for e in encode() for i in e.ids), encode)
    megabytes = sum(len(l.encode()) for l in lines) / 1e6
    measure.write([measure.timed("tokenize", f"{args.tokenizer.name}, {args.text.stem}", "MB/s", megabytes, args.repeat, run)])


if __name__ == "__main__":
    main()
