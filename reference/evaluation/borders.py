"""Compares borders.tsv of the evaluation's tests with lighteval's own tok_encode_pair.

    python borders.py

The cuts are those of internal/eval/testdata/borders.py. lighteval 0.3.0 has the
joint rule; 0.8.1 has the guarded and the pairwise one, as 0.6.2.
"""

import importlib.metadata
import json
import pathlib
import sys
import types

import torch.utils.data.distributed
import transformers
import xxhash

torch.utils.data.distributed.T_co = None  # of torch 2.2, for 0.3.0
from lighteval.models.abstract_model import LightevalModel  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "testdata/chain"


def cuts():
    for subset in ("Algeria", "Arabic_Calligraphy"):
        for line in open(DEMO / "data/benchmarks/OALL/ACVA" / subset / "test.jsonl", encoding="utf-8"):
            text = json.loads(line)["question"]
            for i in range(1, len(text)):
                if kept := text[:i].rstrip():
                    yield kept, text[len(kept):]


def main():
    tokenizer = transformers.AutoTokenizer.from_pretrained(DEMO / "models/gemma2")
    model = types.SimpleNamespace(tokenizer=tokenizer, add_special_tokens=True)
    model.tok_encode = types.MethodType(LightevalModel.tok_encode, model)
    encode = types.MethodType(LightevalModel.tok_encode_pair, model)
    version = importlib.metadata.version("lighteval")
    rules = {"joint": {}} if version < "0.4" else {"guarded": {"pairwise": False}, "pairwise": {"pairwise": True}}
    recorded = [line.split("\t") for line in (ROOT / "internal/eval/testdata/borders.tsv").read_text().splitlines()]
    bad = False
    for rule, arguments in rules.items():
        pairs = [encode(*cut, **arguments) for cut in cuts()]
        digest = xxhash.xxh64("".join(f"{a} {b}\n" for a, b in pairs).encode()).hexdigest()
        same = [rule, str(len(pairs)), str(sum(not b for _, b in pairs)), digest] in recorded
        bad |= not same
        print(f"lighteval {version}, {rule}: {len(pairs)} cuts, {'as recorded' if same else 'NOT as recorded'}")
    sys.exit(bad)


main()
