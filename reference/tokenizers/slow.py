"""Compares model directories that hold a SentencePiece model and no tokenizer.json with the slow tokenizers of transformers.

usage: slow.py [--cases N] [--seed N] [--text FILE…] [--out DIR]

Each directory is what save_pretrained of LlamaTokenizer, GemmaTokenizer, NllbTokenizer or M2M100Tokenizer
writes around a model: the small ones of internal/tokenizer/testdata/layouts and, if the shared reference
data is there, Llama 2's, Gemma 2's pieces as a SentencePiece model, and a published one with a full
character map. --out keeps the small ones with the record of their cases, as
internal/tokenizer/testdata/layouts has them, and compares nothing: slow.py --cases 150 --out internal/tokenizer/testdata/layouts
"""

import argparse
import json
import pathlib
import re
import sys
import tempfile

import transformers
from sentencepiece import sentencepiece_model_pb2 as pb
from transformers import GemmaTokenizer, LlamaTokenizer, M2M100Tokenizer, NllbTokenizer
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

import cases
import differential
import layouts

TURNS = ["<start_of_turn>", "<end_of_turn>"]


def gemma(path):
    """A SentencePiece model with the pieces of a Gemma tokenizer.json: the rank of a piece's first merge is its score."""
    doc = json.loads(differential.read(path))
    model = pb.ModelProto()
    model.trainer_spec.model_type = pb.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.bos_piece, model.trainer_spec.eos_piece, model.trainer_spec.pad_piece = "<bos>", "<eos>", "<pad>"
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = model.normalizer_spec.remove_extra_whitespaces = False
    rank = {}
    for merge in doc["model"]["merges"]:
        rank.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), len(rank))
    added = {t["content"]: t for t in doc["added_tokens"]}
    for text, _ in sorted(doc["model"]["vocab"].items(), key=lambda kv: kv[1]):
        if text == "\t":
            text = "<0x09>"  # renamed on the way to tokenizer.json
        kind = pb.ModelProto.SentencePiece.NORMAL
        if text == "<unk>":
            kind = pb.ModelProto.SentencePiece.UNKNOWN
        elif text in ("<pad>", "<eos>", "<bos>"):
            kind = pb.ModelProto.SentencePiece.CONTROL
        elif text in added:
            kind = pb.ModelProto.SentencePiece.USER_DEFINED
        elif re.fullmatch("<0x[0-9A-F]{2}>", text):
            kind = pb.ModelProto.SentencePiece.BYTE
        model.pieces.add(piece=text, score=-rank.get(text, len(rank)), type=kind)
    return model.SerializeToString()


def directories(data):
    """Name, slow tokenizer class, model and options of every directory."""
    small = lambda n: (layouts.OUT / f"{n}.model").read_bytes()
    yield "slow-llama2", LlamaTokenizer, small("spm-llama2"), {}
    yield "slow-llama2-later", LlamaTokenizer, small("spm-llama2"), {"legacy": False}
    yield "slow-gemma2", GemmaTokenizer, small("spm-gemma2"), {"additional_special_tokens": TURNS}
    yield "slow-nllb", NllbTokenizer, small("spm-nllb"), {"src_lang": "arb_Arab"}
    yield "slow-nllb-legacy", NllbTokenizer, small("spm-nllb"), {"src_lang": "arb_Arab", "legacy_behaviour": True}
    codes = [f"__{c}__" for c in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
    yield "slow-m2m100", M2M100Tokenizer, small("spm-nllb"), {"src_lang": "ar", "additional_special_tokens": codes}
    if (data / "llama2/tokenizer.model").exists():
        llama = (data / "llama2/tokenizer.model").read_bytes()
        yield "llama2", LlamaTokenizer, llama, {}
        yield "llama2-later", LlamaTokenizer, llama, {"legacy": False, "add_eos_token": True}
    if (data / "gemma2/tokenizer.json.gz").exists():
        yield "gemma2", GemmaTokenizer, gemma(data / "gemma2/tokenizer.json.gz"), {"additional_special_tokens": TURNS}
    if (data / "small-spm/test_sentencepiece_bpe.model").exists():
        yield "nllb-full-charsmap", NllbTokenizer, (data / "small-spm/test_sentencepiece_bpe.model").read_bytes(), {}


def vocabulary(model):
    """Ids of M2M-100's own for a model's pieces, in another order and not for all of them."""
    pieces = [p.piece for p in pb.ModelProto.FromString(model).pieces][3:]
    pieces = [p for i, p in enumerate(reversed(pieces)) if i % 50 != 7]
    return {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>"] + pieces)}


def record(tok, count, seed, lines):
    for text in cases.texts(count, seed, lines):
        if "\x00" in text:
            continue
        ids = tok.encode(text, add_special_tokens=False)
        row = {"text": text, "ids": ids, "special": tok.encode(text),
               "plain": tok.convert_tokens_to_ids(tok.tokenize(text, split_special_tokens=True))}
        # Spaces at the ends are left out: LlamaTokenizer drops two at the beginning and NllbTokenizer all,
        # where SentencePiece and the fast tokenizers drop one.
        pieces = "".join(tok.convert_ids_to_tokens(ids, skip_special_tokens=True))
        if isinstance(tok, GemmaTokenizer) or not pieces.startswith("▁▁") and not pieces.endswith("▁"):
            row["decoded_skip"] = tok.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False,
                                             spaces_between_special_tokens=False)
        yield row


def write(out, name, cls, model, options, a, lines):
    """A model directory, its only tokenizer file a SentencePiece model, and the record of what the slow tokenizer gives."""
    d = out / name
    d.mkdir(parents=True, exist_ok=True)
    files = [d / cls.vocab_files_names[k] for k in ("vocab_file", "spm_file") if k in cls.vocab_files_names]
    files[-1].write_bytes(model)
    if len(files) == 2:
        files[0].write_text(json.dumps(vocabulary(model), ensure_ascii=False))
    cls(*map(str, files), **options).save_pretrained(d)
    provenance = {"script": "reference/tokenizers/slow.py", "transformers": transformers.__version__, "seed": a.seed, "cases": a.cases}
    cases.write(out / f"{name}.jsonl.gz", provenance, record(cls.from_pretrained(d), a.cases, a.seed, lines))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cases", type=int, default=3000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--text", type=pathlib.Path, action="append", default=[])
    p.add_argument("--out", type=pathlib.Path)
    a = p.parse_args()
    lines = layouts.lines() + [l for f in a.text for l in cases.corpus(f)]
    with tempfile.TemporaryDirectory() as d:
        for name, cls, model, options in directories(differential.SHARED / "tokenizers"):
            if not a.out or name.startswith("slow-"):
                write(a.out or pathlib.Path(d), name, cls, model, options, a, lines)
        sys.exit(0 if a.out else differential.compare(d))


if __name__ == "__main__":
    main()
