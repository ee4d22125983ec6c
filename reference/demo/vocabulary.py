"""Writes the tokenizers of the demonstration's models: whole words of the closed vocabulary, syllables of names.

    python reference/demo/vocabulary.py

A word of the vocabulary is one token, wherever it stands. A name becomes its syllables, a number its digits, and any
other word its letters. Merges exist for syllables only; ignore_merges finds the words before them. The two Llama models
share a tokenizer. The translator's has the special tokens of NLLB-200, with their ids.
"""

import json
import pathlib

from world import SYLLABLES, words

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "internal" / "demo" / "models"
SPACE = "▁"
LLAMA_SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|end|>"]
NLLB_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
LANGUAGES = ["arb_Arab", "eng_Latn"]
CHAT = ("{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")
SIGNS = ".,:;?!)،؛؟"


def syllables():
    """All syllables of names, each as its two letters: capital, small, Arabic."""
    for english, arabic in SYLLABLES:
        yield from ((english[0].upper(), english[1]), tuple(english), tuple(arabic))


def model(special):
    merges = list(syllables())
    merges += [(SPACE, a + b) for a, b in merges] + [(SPACE, str(d)) for d in range(10)]
    arabic = [chr(c) for c in range(0x621, 0x64B) if c not in range(0x63B, 0x641)]
    letters = [chr(c) for c in range(33, 127)] + arabic + ["،", "؛", "؟", "\u064b"]
    tokens = special + [SPACE, SPACE + "\n"] + letters + [a + b for a, b in merges] + [SPACE + w for w in words()]
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": True, "byte_fallback": False, "ignore_merges": True,
            "vocab": {t: i for i, t in enumerate(dict.fromkeys(tokens))}, "merges": [list(m) for m in dict.fromkeys(merges)]}


def tokenizer(special, extra, post):
    data = model(special)
    first = len(data["vocab"])
    for i, token in enumerate(extra):
        data["vocab"][token] = first + i
    replace = [(SPACE, " ")], [(" \n ", "\n"), *((" " + s, s) for s in SIGNS)]
    decode = [[{"type": "Replace", "pattern": {"String": a}, "content": b} for a, b in some] for some in replace]
    split = lambda pattern, behavior: {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}  # noqa: E731
    added = [{"id": data["vocab"][t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for t in special + extra]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                split({"String": "\n"}, "Isolated"), split({"Regex": " +"}, "Removed"),
                {"type": "Punctuation", "behavior": "Isolated"},
                {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}]},
            "post_processor": post(data["vocab"]),
            "decoder": {"type": "Sequence", "decoders": [*decode[0], {"type": "Fuse"}, *decode[1],
                                                         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": data}


def around(vocab, before, after):
    """A post-processor that puts special tokens around a text."""
    one = lambda t: {"SpecialToken": {"id": t, "type_id": 0}}  # noqa: E731
    single = [*map(one, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(one, after)]
    pair = [*map(one, before), {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}, *map(one, after)]
    return {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in before + after}}


def write(directory, data, config):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    (directory / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n")


def main():
    llama = tokenizer(LLAMA_SPECIAL, [], lambda v: around(v, ["<s>"], []))
    for name in ("generator", "student"):
        write(MODELS / name, llama, {
            "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "chat_template": CHAT,
            "clean_up_tokenization_spaces": False, "model_max_length": 512, "tokenizer_class": "PreTrainedTokenizerFast"})
    write(MODELS / "translator", tokenizer(NLLB_SPECIAL, LANGUAGES, lambda v: around(v, ["eng_Latn"], ["</s>"])), {
        "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>",
        "src_lang": "eng_Latn", "tgt_lang": None, "additional_special_tokens": LANGUAGES, "clean_up_tokenization_spaces": False,
        "legacy_behaviour": False, "model_max_length": 512, "tokenizer_class": "NllbTokenizer"})
    print(len(llama["model"]["vocab"]), "tokens")


if __name__ == "__main__":
    main()
