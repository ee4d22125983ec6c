"""Trains a small tokenizer of every layout and records what the reference libraries make of a few texts.

usage: layouts.py [OUT]     (default internal/tokenizer/testdata/layouts)
"""

import base64
import collections
import io
import json
import os
import pathlib
import sys
import tempfile
import unicodedata

import sentencepiece
import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import cases

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent.parent / "internal" / "tokenizer" / "testdata" / "layouts"
SEED = 20240517
GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
LANGUAGES = ["ace_Arab", "arb_Arab", "arz_Arab", "eng_Latn", "fra_Latn", "pes_Arab", "urd_Arab"]


def lines():
    return cases.corpus(HERE / "corpus.txt")


def train(size, normalizer=None, pre=None, alphabet=()):
    """Byte-pair encoding on the corpus; returns tokens in order and merges as pairs."""
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator(lines(), trainers.BpeTrainer(vocab_size=size, initial_alphabet=list(alphabet), show_progress=False))
    m = json.loads(t.to_str())["model"]
    tokens = sorted(m["vocab"], key=m["vocab"].get)
    return tokens, [tuple(x) if isinstance(x, list) else tuple(x.split(" ")) for x in m["merges"]]


def byte_level(size):
    return train(size, pre=pre_tokenizers.ByteLevel(add_prefix_space=False), alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))


def spaced(size):
    """Words that begin with a space mark, as SentencePiece makes them."""
    return train(size, normalizer=normalizers.Replace(" ", "▁"), pre=pre_tokenizers.Split("▁", "merged_with_next"))


def added(token, id, special=True, **options):
    return {"id": id, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special} | options


def bpe(tokens, merges, strings=True, **options):
    joined = [" ".join(m) for m in merges] if strings else [list(m) for m in merges]
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": joined} | options


def template(before=(), after=()):
    special = [t for t, _ in before] + [t for t, _ in after]
    ids = dict(before) | dict(after)
    one = lambda t: {"SpecialToken": {"id": t, "type_id": 0}}
    single = [one(t) for t, _ in before] + [{"Sequence": {"id": "A", "type_id": 0}}] + [one(t) for t, _ in after]
    pair = single + [{"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in special}}


def document(model, tokens=(), normalizer=None, pre=None, post=None, decoder=None):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model}


BYTES = [f"<0x{b:02X}>" for b in range(256)]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
SPACE_DECODER = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]


def with_spaces(tokens, merges):
    """Adds runs of space marks and line ends, as Gemma's vocabulary has."""
    for mark in ("▁", "\n", "\t"):
        for n in range(2, 9):
            if mark * n not in tokens:
                tokens.append(mark * n)
        merges += [(mark * a, mark * (n - a)) for n in range(2, 9) for a in range(n - 1, 0, -1)]
    return tokens, merges


def gemma2():
    learned, merges = spaced(700)
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[@BOS@]", "<start_of_turn>", "<end_of_turn>"]
    learned, merges = with_spaces(learned + ["\n", "\t"], merges)
    tokens = special + BYTES + learned
    ids = {t: i for i, t in enumerate(tokens)}
    own = [added(t, ids[t], t not in ("<mask>", "[@BOS@]")) for t in special]
    own += [added(c * n, ids[c * n], False) for c in "\n\t▁" for n in range(1 if c == "\n" else 2, 9)]
    return document(bpe(tokens, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True), own,
                    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                    {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
                    template([("<bos>", 2)]), {"type": "Sequence", "decoders": SPACE_DECODER})


def llama2():
    learned, merges = spaced(600)
    tokens = ["<unk>", "<s>", "</s>"] + BYTES + learned
    return document(bpe(tokens, merges, strings=False, unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                    [added(t, i) for i, t in enumerate(tokens[:3])],
                    {"type": "Sequence",
                     "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
                    None, template([("<s>", 1)]),
                    {"type": "Sequence", "decoders": SPACE_DECODER + [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]})


def llama2_metaspace():
    """The later form: Metaspace that marks the first word only, nothing normalised."""
    d = llama2()
    d["normalizer"] = None
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    d["pre_tokenizer"] = space
    return d


def rules():
    """A small character map in the manner of nmt_nfkc: compatibility forms, dropped controls, odd spaces."""
    rows = []
    for c in [*range(0xFB50, 0xFBB2), *range(0xFE70, 0xFEFD), 0xFDF2, 0xFDFA, *range(0xFF01, 0xFF5F), 0xFB01,
              0xBD, 0x2167, *range(0x2460, 0x2470),
              *range(0xFF61, 0xFFA0)]:
        to = unicodedata.normalize("NFKC", chr(c))
        if to != chr(c):
            rows.append(([c], [ord(x) for x in to]))
    for base in "aeiouAE":
        for mark in (0x301, 0x30A):
            to = unicodedata.normalize("NFC", base + chr(mark))
            if len(to) == 1:
                rows.append(([ord(base), mark], [ord(to)]))
    rows += [([0x627, 0x653], [0x622]), ([0x627, 0x654], [0x623])]
    rows += [([c], [0x20]) for c in (9, 10, 13, 0xA0, 0x2003, 0x2028, 0x3000, 0xFEFF, 0x200B)]
    rows += [([c], []) for c in (1, 0x1B, 0x7F, 0x200E, 0x200F)]
    h = lambda xs: " ".join(f"{x:X}" for x in xs)
    return "\n".join(f"{h(a)}\t{h(b)}" for a, b in sorted(rows)) + "\n"


def spm(**options):
    out = io.BytesIO()
    defaults = dict(sentence_iterator=iter(lines()), model_writer=out, vocab_size=600, character_coverage=1.0, hard_vocab_limit=False,
                    num_threads=1, minloglevel=2, input_sentence_size=0)
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as d:
        os.chdir(d)  # the model records the file's name
        if "normalization_rule_name" not in options:
            pathlib.Path("rules.tsv").write_text(rules())
            options = options | {"normalization_rule_tsv": "rules.tsv"}
        sentencepiece.SentencePieceTrainer.train(**(defaults | options))
        os.chdir(here)
    return out.getvalue()


def charsmap(model):
    """precompiled_charsmap of a SentencePiece model: field 2 of normalizer_spec, field 3."""
    def fields(data):
        i = 0
        def varint():
            nonlocal i
            v = s = 0
            while True:
                b = data[i]
                i += 1
                v |= (b & 127) << s
                s += 7
                if b < 128:
                    return v
        while i < len(data):
            key = varint()
            if key & 7 == 2:
                n = varint()
                yield key >> 3, data[i:i + n]
                i += n
            elif key & 7 == 0:
                yield key >> 3, varint()
            else:
                i += 4 if key & 7 == 5 else 8
    spec = next(v for k, v in fields(model) if k == 3)
    return next(v for k, v in fields(spec) if k == 2)


def nllb(normalizers_after, prefix=()):
    learned, merges = spaced(800)
    tokens = ["<s>", "<pad>", "</s>", "<unk>"] + learned
    n = len(tokens)
    own = [added(t, i) for i, t in enumerate(tokens[:4])] + [added(t, n + i) for i, t in enumerate(LANGUAGES)]
    own.append(added("<mask>", n + len(LANGUAGES), lstrip=True, normalized=True))
    tokens += LANGUAGES + ["<mask>"]
    space = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "prepend_scheme": "always", "split": True}
    return document(bpe(tokens, merges, unk_token="<unk>", fuse_unk=True), own,
                    {"type": "Sequence", "normalizers": [*prefix, *normalizers_after]}, space,
                    template([("eng_Latn", n + LANGUAGES.index("eng_Latn"))], [("</s>", 2)]), space)


def precompiled():
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(spm(model_type="bpe"))).decode()}


def spaces_to(content):
    return {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": content}


def nllb_charsmap():
    return nllb([{"type": "Strip", "strip_left": False, "strip_right": True}, spaces_to("▁")], [precompiled()])


def nllb_nfkc():
    return nllb([{"type": "Replace", "pattern": {"Regex": "[\\n\\r\\t]"}, "content": " "}, {"type": "NFKC"}, spaces_to(" ")])


def neox():
    tokens, merges = byte_level(700)
    tokens = ["<|endoftext|>", "<|padding|>"] + tokens
    n = len(tokens)
    own = [added(t, i) for i, t in enumerate(tokens[:2])]
    own += [added(" " * k, n + 24 - k, False, normalized=True) for k in range(24, 1, -1)]
    b = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return document(bpe(tokens, merges), own, {"type": "NFC"}, b, b, b)


def llama3():
    tokens, merges = byte_level(800)
    words = ["Ġvaccination", "Ġunmergeable", "xyzzy"]  # reachable only because the vocabulary is consulted first
    tokens = tokens + words
    n = len(tokens)
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    split = {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False}
    post = {"type": "Sequence", "processors": [BYTE_LEVEL, template([("<|begin_of_text|>", n)])]}
    return document(bpe(tokens, merges, ignore_merges=True), [added(t, n + i) for i, t in enumerate(special)], None,
                    {"type": "Sequence", "pretokenizers": [split, BYTE_LEVEL]}, post, BYTE_LEVEL)


def qwen2():
    tokens, merges = byte_level(650)
    n = len(tokens)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    split = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
    return document(bpe(tokens, merges, strings=False, continuing_subword_prefix="", end_of_word_suffix=""),
                    [added(t, n + i) for i, t in enumerate(special)],
                    {"type": "NFC"}, {"type": "Sequence", "pretokenizers": [split, BYTE_LEVEL]}, BYTE_LEVEL, BYTE_LEVEL)


def gguf(strip=(), tokens=()):
    """What transformers makes of a GGUF file with a byte-level vocabulary: the byte-level decoder sees all tokens fused."""
    learned, merges = byte_level(700)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    learned = special + learned
    b = BYTE_LEVEL | {"use_regex": True, "trim_offsets": False}
    own = [added(t, i) for i, t in enumerate(special)] + [added(t, len(learned) + i, False) for i, t in enumerate(tokens)]
    nodes = [{"type": "ByteFallback"}, {"type": "Fuse"}, SPACE_DECODER[0], b, *strip]
    return document(bpe(learned, merges, unk_token="<|endoftext|>", fuse_unk=True, byte_fallback=True), own,
                    {"type": "Sequence", "normalizers": []}, b,
                    template([("<|im_start|>", 1)]), {"type": "Sequence", "decoders": nodes})


def gguf_plain():
    """The same with tokens outside the byte-level alphabet, each of which makes plain text of all."""
    return gguf([{"type": "Strip", "content": " ", "start": 1, "stop": 0}], ["<أداة>", "a b", "<0xE2>", "▁"])


def unigram(byte_fallback):
    model = spm(model_type="unigram", byte_fallback=byte_fallback, vocab_size=900)
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = [[sp.id_to_piece(i), sp.get_score(i)] for i in range(sp.get_piece_size())]
    vocab = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]] + vocab[3:]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": not byte_fallback}
    norm = {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(model)).decode()},
                                                 {"type": "Strip", "strip_left": False, "strip_right": True}, spaces_to("▁")]}
    own = [added(t, i) for i, (t, _) in enumerate(vocab[:3])]
    return document({"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": byte_fallback}, own, norm,
                    space, template((), [("</s>", 1)]),
                    {"type": "Sequence", "decoders": SPACE_DECODER} if byte_fallback else space)


def marked_merges(words, count):
    """Byte-pair encoding with ## before inner and </w> after last characters. The library's own trainer breaks ties at random."""
    split = {w: tuple(("##" if i else "") + c + ("</w>" if i == len(w) - 1 else "") for i, c in enumerate(w)) for w in words}
    tokens, merges = sorted({c for s in split.values() for c in s}), []
    for _ in range(count):
        pairs = collections.Counter()
        for w, s in split.items():
            for p in zip(s, s[1:]):
                pairs[p] += words[w]
        a, b = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append((a, b))
        joined = a + b.removeprefix("##")
        if joined not in tokens:
            tokens.append(joined)
        for w, s in split.items():
            out = []
            for c in s:
                if out and (out[-1], c) == (a, b):
                    out[-1] = joined
                else:
                    out.append(c)
            split[w] = tuple(out)
    return tokens, merges


def odd():
    """What the real files do not use together: word-final and word-internal marks, every kind of added token, digits, punctuation."""
    words = collections.Counter(w for line in lines() for w, _ in pre_tokenizers.Whitespace().pre_tokenize_str(line))
    tokens, merges = marked_merges(words, 450)
    m = bpe(["[UNK]"] + tokens, merges, unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>")
    n = len(m["vocab"])
    own = [added("[UNK]", 0), added("SINGLE", n, False, single_word=True),
           added("LEFT", n + 1, False, lstrip=True), added("RIGHT", n + 2, rstrip=True),
           added("NORM", n + 3, False, normalized=True), added("<mask>", n + 4, lstrip=True, rstrip=True, single_word=True)]
    pre = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Removed", "invert": False},
        {"type": "Digits", "individual_digits": False},
        {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "Split", "pattern": {"String": "e"}, "behavior": "MergedWithNext", "invert": False},
        {"type": "Split", "pattern": {"Regex": "[aou]+"}, "behavior": "MergedWithPrevious", "invert": True}]}
    norm = {"type": "Sequence",
            "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True},
                                                 {"type": "Replace", "pattern": {"Regex": "\\d{4,}"}, "content": "0000"}]}
    return document(m, own, norm, pre, None, None)


LAYOUTS = {"gemma2": gemma2, "nllb": nllb_charsmap, "nllb-nfkc": nllb_nfkc, "neox": neox, "llama2": llama2,
           "llama2-metaspace": llama2_metaspace,
           "llama3": llama3, "qwen2": qwen2, "gguf": gguf, "gguf-plain": gguf_plain,
           "unigram": lambda: unigram(False), "unigram-bytes": lambda: unigram(True), "odd": odd}

# SentencePiece models: name -> training options.
MODELS = {
    "spm-llama2": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                       remove_extra_whitespaces=False, split_digits=True,
                       allow_whitespace_only_pieces=True),
    "spm-gemma2": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                       remove_extra_whitespaces=False, add_dummy_prefix=False,
                       split_digits=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
                       user_defined_symbols=["<mask>", "<start_of_turn>", "<end_of_turn>", "\n", "\n\n", "▁▁", "▁▁▁", "\t"]),
    "spm-nllb": dict(model_type="bpe"),
    "spm-unigram": dict(model_type="unigram", user_defined_symbols=["<mask>", "COVID"], control_symbols=["<ctl>"]),
    "spm-suffix": dict(model_type="unigram", byte_fallback=True, treat_whitespace_as_suffix=True),
}


def provenance(count):
    return {"script": "reference/tokenizers/layouts.py", "tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__,
            "seed": SEED, "cases": count}


def pieces(sp, count, seed, text):
    for t in cases.texts(count, seed, text):
        if "\x00" in t:
            continue
        ids = sp.encode(t)
        yield {"text": t, "ids": ids, "decoded": sp.decode(ids)}


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    count = 150
    for name, build in LAYOUTS.items():
        data = json.dumps(build(), ensure_ascii=False, separators=(",", ":"))
        (out / f"{name}.json").write_text(data + "\n", encoding="utf-8")
        tok = Tokenizer.from_str(data)
        n = cases.write(out / f"{name}.jsonl.gz", provenance(count), cases.record(tok, count, SEED, lines()))
        print(f"{name}: {tok.get_vocab_size()} tokens, {len(data)} bytes, {n} cases")
    for name, options in MODELS.items():
        model = spm(**options)
        (out / f"{name}.model").write_bytes(model)
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        n = cases.write(out / f"{name}.jsonl.gz", provenance(count), pieces(sp, count, SEED, lines()))
        print(f"{name}: {sp.get_piece_size()} pieces, {len(model)} bytes, {n} cases")


if __name__ == "__main__":
    main()
