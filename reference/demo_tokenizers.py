"""Trains the tokenizers of the models of testdata/chain: Gemma-2's and NLLB's layouts with small vocabularies.

    python reference/demo_tokenizers.py PARALLEL.tmx.zip

The text is the chain's own pages and the English-Arabic sentences of TICO-19 (CC0,
https://tico-19.github.io). Special tokens and their ids follow the real models.
"""

import json
import pathlib
import re
import sys
import zipfile
from xml.etree import ElementTree

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO = ROOT / "testdata" / "chain"

GEMMA_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)


def parallel(path):
    """The sentence pairs of a TMX file in a zip archive."""
    with zipfile.ZipFile(path) as z:
        name = next(n for n in z.namelist() if n.endswith(".tmx"))
        root = ElementTree.fromstring(z.read(name))
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    pairs = []
    for tu in root.iter("tu"):
        seg = {tuv.get(lang)[:2].lower(): (tuv.findtext("seg") or "").strip() for tuv in tu.iter("tuv")}
        if seg.get("en") and seg.get("ar"):
            pairs.append((seg["en"], seg["ar"]))
    return pairs


def pages():
    text = (DEMO / "data" / "pages.xml").read_text()
    return [re.sub(r"<[^>]+>|[\[\]{}'=]+", " ", line) for line in text.splitlines() if "xmlns" not in line]


def gemma(texts, directory):
    tok = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tok.normalizer = normalizers.Replace(" ", "▁")
    # Words are cut for training only; at run time the whole text is one piece, as in the real file.
    tok.pre_tokenizer = pre_tokenizers.Split(Regex("▁+|\n"), "merged_with_next")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>", "\n",
               *(f"<0x{i:02X}>" for i in range(256))]
    tok.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=1700, special_tokens=special, show_progress=False, limit_alphabet=400))
    data = json.loads(tok.to_str())
    data["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    keep = {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"}
    data["added_tokens"] = [a | {"special": True, "normalized": False} for a in data["added_tokens"] if a["content"] in keep]
    bos = data["model"]["vocab"]["<bos>"]
    data["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "<bos>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<bos>": {"id": "<bos>", "ids": [bos], "tokens": ["<bos>"]}},
    }
    data["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    write(directory, data, {
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>",
        "unk_token": "<unk>", "chat_template": GEMMA_TEMPLATE, "clean_up_tokenization_spaces": False,
        "model_max_length": 1024, "tokenizer_class": "GemmaTokenizer",
    })


LANGUAGES = ["arb_Arab", "arz_Arab", "deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn", "tur_Latn"]


def nllb(texts, directory, size=1800, signs_alone=False):
    """NLLB's layout with a vocabulary of this size. With signs_alone, each digit and sign is a token."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tok.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex("[\n\r\t]"), " "),
                                           normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tok.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    known = [chr(c) for c in range(33, 127)] if signs_alone else []
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False, limit_alphabet=300,
                                  initial_alphabet=known)
    metaspace = tok.pre_tokenizer
    if signs_alone:  # they are cut off for training only, so that no merge has one
        tok.pre_tokenizer = pre_tokenizers.Sequence([metaspace, pre_tokenizers.Split(Regex(r"[^\p{L}\p{M}▁]"), "isolated")])
    tok.train_from_iterator(texts, trainer)
    tok.pre_tokenizer = metaspace
    tok.add_special_tokens([AddedToken(code, special=True, normalized=False) for code in LANGUAGES])
    tok.add_special_tokens([AddedToken("<mask>", special=True, lstrip=True)])
    src, eos = tok.token_to_id("eng_Latn"), tok.token_to_id("</s>")
    tok.post_processor = processors.TemplateProcessing(single="eng_Latn $A </s>", pair="eng_Latn $A $B </s>",
                                                       special_tokens=[("eng_Latn", src), ("</s>", eos)])
    write(directory, json.loads(tok.to_str()), {
        "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>",
        "mask_token": "<mask>", "src_lang": "eng_Latn", "tgt_lang": None, "additional_special_tokens": LANGUAGES,
        "clean_up_tokenization_spaces": True, "legacy_behaviour": False, "model_max_length": 1024, "tokenizer_class": "NllbTokenizer",
    })


def write(directory, data, config):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    (directory / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n")


def main():
    pairs = parallel(sys.argv[1])
    texts = [s for p in pairs for s in p] + pages() * 20
    gemma(texts, DEMO / "models" / "gemma2")
    nllb(texts, DEMO / "models" / "nllb")
    for name in ("gemma2", "nllb"):
        path = DEMO / "models" / name / "tokenizer.json"
        tok = Tokenizer.from_file(str(path))
        print(name, tok.get_vocab_size(), path.stat().st_size, tok.encode("Coffee came to Arabia from Ethiopia.\nالقهوة العربية").tokens)


if __name__ == "__main__":
    main()
