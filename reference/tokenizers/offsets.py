"""Writes internal/tokenizer/testdata/offsets.json.gz: where the tokens of texts lie, by the tokenizers library.

    python reference/tokenizers/offsets.py

Text whose characters a normalizer joins is left out: which of them a token has is arbitrary. So is the
layout odd, which replaces text.

For each layout of testdata/layouts: ids, and the offsets of each token in characters of the text.
"""

import gzip
import json
import pathlib

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "internal" / "tokenizer" / "testdata"
TEXTS = [
    "Hello world, كيف حالك؟ 12345", "  two  spaces\n\ttab", "x", "é combining ﬁ Ⅷ", "🙂🙃 emoji 한국어",
    "مرحبا بكم في الجزائر", "<s>a</s> b <pad>x", "a\u200db \u00a0 c", "日本語テキスト", "القُرْآن الكَرِيم",
]


def main():
    cases = []
    for path in sorted((DATA / "layouts").glob("*.json")):
        if path.stem == "odd":
            continue
        tok = Tokenizer.from_file(str(path))
        for text in TEXTS:
            e = tok.encode(text, add_special_tokens=True)
            cases.append({"layout": path.stem, "text": text, "ids": e.ids, "offsets": [list(o) for o in e.offsets]})
    (DATA / "offsets.json.gz").write_bytes(gzip.compress(json.dumps(cases, ensure_ascii=False).encode(), mtime=0))


if __name__ == "__main__":
    main()
