"""Writes borders.tsv: what the three ways to cut tokens give on real text.

Every question of the demonstration's ACVA rows is cut between any two of its
characters, so that the cut often falls into a token of the demonstration's
tokenizer. The rules are those of lighteval (joint: to 0.5; guarded: from 0.6;
pairwise: its option), written down a second time, in Python, on the tokenizers
library, so that the Go code is compared with something that shares none of it.

    python -m venv v && v/bin/pip install xxhash==4.1.0 tokenizers==0.22.2 && v/bin/python borders.py
"""

import json
import pathlib

import tokenizers
import xxhash

HERE = pathlib.Path(__file__).parent
DEMO = HERE.parents[1] / "demo"
TOKENIZER = tokenizers.Tokenizer.from_file(str(DEMO / "models/gemma2/tokenizer.json"))
END = TOKENIZER.token_to_id("<eos>")


def encode(text, special=True):
    return TOKENIZER.encode(text, add_special_tokens=special).ids


def joint(context, choice):
    before = encode(context)
    return before, encode(context + choice)[len(before):]


def guarded(context, choice):
    before, whole = encode(context), encode(context + choice)
    if len(before) == len(whole):
        return whole[:-1], whole[-1:]
    return before, whole[len(before):]


def pairwise(context, choice):
    before = encode(context)
    return before[:-1] if before[-1] == END else before, encode(choice, special=False)


def cuts():
    for subset in ("Algeria", "Arabic_Calligraphy"):
        for line in open(DEMO / "data/benchmarks/OALL/ACVA" / subset / "test.jsonl", encoding="utf-8"):
            text = json.loads(line)["question"]
            for i in range(1, len(text)):
                kept = text[:i].rstrip()
                if kept:
                    yield kept, text[len(kept):]


with open(HERE / "borders.tsv", "w", encoding="utf-8") as f:
    f.write("border\tcases\tempty\tdigest\n")
    for rule in joint, guarded, pairwise:
        pairs = [rule(*cut) for cut in cuts()]
        digest = xxhash.xxh64("".join(f"{a} {b}\n" for a, b in pairs).encode()).hexdigest()
        f.write(f"{rule.__name__}\t{len(pairs)}\t{sum(not b for _, b in pairs)}\t{digest}\n")
