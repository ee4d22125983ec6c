"""Writes internal/langid/testdata/golden.json: python golden.py CLONES MODEL OUT

Texts with the language and the probability that evaluate.py's model gives: the first article of
the Universal Declaration of Human Rights, and what a text can have beside letters.
"""
import json
import sys

from corpus import SOURCES, UDHR, lines_of
from evaluate import Model


def main():
    clones, path, out = sys.argv[1:]
    model, rows = Model(path), []
    for language, sources in SOURCES.items():
        for kind, name in sources:
            if kind == UDHR:
                line = [s for s in lines_of(clones, kind, name) if len(s) > 60][9]
                rows.append((line, language))
                rows.append((" ".join(line.split()[:4]), language))
    rows += [(s, "arb_Arab") for s in (
        "ﻣﺮﺣﺒﺎ ﺑﻜﻢ ﻓﻲ ﻣﻮﻗﻌﻨﺎ", "مَرْحَبًا بِكُمْ", "رااااائع جـــدا!", "سنة 1990 قال: «نعم» (OK)",
        "ا\u0653 سف", "كيف؟\nهكذا\u200cثم\u200dانتهى",
        "كلمة\ufe0f أخرى e\u0301 هنا", "ا" * 300)]
    rows += [(s, "eng_Latn") for s in ("It's a naïve café, isn't it?", "cafe\u0301 in Zürich", "ＦＵＬＬ width letters", "İstanbul'da DİYOR")]
    texts = []
    for text, language in rows:
        got, p = model([text], language[-4:])
        texts.append({"text": text, "language": got[0], "probability": round(float(p[0]), 5)})
    json.dump(texts, open(out, "w"), ensure_ascii=False, indent=0)


if __name__ == "__main__":
    main()
