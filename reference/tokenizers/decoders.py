"""Draws chains of decoder nodes and lists of tokens, and records the text that tokenizers decodes them to.

usage: decoders.py [--chains N] [--seed N] [OUT]     (default internal/tokenizer/testdata/decoders.jsonl.gz)

A row holds a decoder and lists of ids; the vocabulary is in the first line. Chains in which the reference panics (Strip
on a token of nothing but its character) are drawn again.
"""

import argparse
import json
import pathlib
import random

import tokenizers
from tokenizers import Tokenizer, pre_tokenizers

import cases
import layouts

OUT = layouts.OUT.parent / "decoders.jsonl.gz"
BYTE_CHARACTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
WORDS = ["", " ", "  ", "a", "b", "ab", "ba", "aab", "aba", "▁", "▁▁", "▁a", "a▁", "▁hello", "Ġthe", "Ċ",
         "كتاب", "لا", "ا", "ل", "😀", "é", "\ufffd",
         "<", "0x", "41>", "<0x4", "1>", "<0xZZ>", "<0x41", "ÙĥØªØ§Ø¨", "ðŁĺĢ", "ðŁ", "ĺĢ", "Ù", "ï¿½", "\n", "日本", "𝔘"]
SPECIAL = ["<s>", "</s>", "<|ar▁|>"]


def vocabulary():
    out = dict.fromkeys(SPECIAL + layouts.BYTES + BYTE_CHARACTERS + WORDS)
    return list(out)


def node(rng):
    kind = rng.choice(["ByteLevel", "ByteFallback", "Fuse", "Replace", "Replace", "Strip", "Metaspace"])
    n = {"type": kind}
    if kind == "ByteLevel":
        n |= {"add_prefix_space": rng.random() < 0.5, "trim_offsets": True, "use_regex": True}
    elif kind == "Replace":
        regex = rng.random() < 0.2
        plain = ["▁", "▁", " ", "a", "ab", "aba", "aa", "Ġ", "لا", "ï¿½", ""]
        pattern = {"Regex": rng.choice(["a+|▁", "\\s+", "[b▁]a"])} if regex else {"String": rng.choice(plain)}
        n |= {"pattern": pattern, "content": rng.choice(["", " ", " ", "b", "▁", "é", "aa", "<0x41>", "ب"])}
    elif kind == "Strip":
        n |= {"content": rng.choice([" ", " ", "a", "▁", "ا"]), "start": rng.randrange(3), "stop": rng.randrange(3)}
    elif kind == "Metaspace":
        n |= {"replacement": rng.choice(["▁", "▁", "a"]), "prepend_scheme": rng.choice(["always", "first", "never"]), "split": True}
    return n


def chain(rng):
    draw = rng.random()
    if draw < 0.03:
        return None
    if draw < 0.2:
        return node(rng)
    nodes = [node(rng) for _ in range(rng.randint(0, 6))]
    if draw < 0.3:  # a sequence within a sequence
        nodes.insert(rng.randint(0, len(nodes)), {"type": "Sequence", "decoders": [node(rng) for _ in range(rng.randint(0, 3))]})
    if draw > 0.8:  # as transformers writes for GGUF files
        nodes = [{"type": "ByteFallback"}, {"type": "Fuse"}, layouts.SPACE_DECODER[0], layouts.BYTE_LEVEL, *nodes[:1]]
    return {"type": "Sequence", "decoders": nodes}


def ids(rng, vocab):
    """Lists of all tokens, of byte tokens, or of byte-level characters, some spelling out text."""
    kind = rng.random()
    first = len(SPECIAL)
    level = {c: i for i, c in enumerate(vocab)}
    if kind < 0.2:
        text = rng.choice(cases.FRAGMENTS) + rng.choice(cases.FRAGMENTS)
        data = list(text.encode())
        for _ in range(rng.randrange(3)):  # bytes lost and changed
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        return [first + b for b in data]
    if kind < 0.4:
        text = rng.choice(cases.FRAGMENTS) + rng.choice(cases.FRAGMENTS)
        level_text = "".join(t for t, _ in pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text))
        out = [level[c] for c in level_text]
        if rng.random() < 0.3:
            out.insert(rng.randint(0, len(out)), rng.randrange(len(vocab)))
        return out[rng.randrange(2):]
    words = range(first + 512, len(vocab))
    return [rng.choice(words) if rng.random() < 0.7 else rng.randrange(len(vocab)) for _ in range(rng.randrange(10))]


def rows(count, seed):
    rng = random.Random(seed)
    vocab = vocabulary()
    made = 0
    while made < count:
        dec = chain(rng)
        doc = layouts.document(layouts.bpe(vocab, []), [layouts.added(t, i) for i, t in enumerate(SPECIAL)], decoder=dec)
        tok = Tokenizer.from_str(json.dumps(doc))
        row = {"decoder": dec, "lists": []}
        try:
            for _ in range(8):
                row["lists"].append(cases.decoded(tok, {"ids": (l := ids(rng, vocab))}, l))
        except BaseException as e:  # pyo3's panics are no Exceptions
            if type(e).__name__ != "PanicException":
                raise
            continue
        made += 1
        yield row


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--chains", type=int, default=250)
    p.add_argument("--seed", type=int, default=layouts.SEED)
    p.add_argument("out", nargs="?", type=pathlib.Path, default=OUT)
    a = p.parse_args()
    head = {"script": "reference/tokenizers/decoders.py", "tokenizers": tokenizers.__version__, "seed": a.seed,
            "vocab": vocabulary(), "special": len(SPECIAL)}
    print(cases.write(a.out, head, rows(a.chains, a.seed)), "chains")


if __name__ == "__main__":
    main()
