"""Writes the golden values of internal/fineweb with datatrove: python fineweb.py TEXTS OUT

TEXTS is a JSON list of strings. Needs datatrove 0.10.1 and spacy 3.8.7. The statistics are computed by the
expressions of datatrove's filters on the words of its tokenizer for Arabic.
"""
import json
import re
import sys

import numpy as np
from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate, find_duplicates, find_top_duplicate, get_n_grams
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

STOPS = "، في من على إلى عام أن مع أو هو عن التي كان بين ما كانت هي المتحدة بعد".split()


def statistics(text):
    words = split_into_words(text, "arb_Arab")
    lines = re.compile("\n+").split(text)
    full = [line for line in text.split("\n") if line.strip() != ""]
    symbols = [w for w in words if any(ch not in PUNCTUATION_SET for ch in w)]

    def top(n):
        grams = get_n_grams(words, n)
        return find_top_duplicate(grams) / len(text) if grams else 0

    return {
        "text": text,
        "words": words,
        "duplicate_lines": find_duplicates(lines)[0] / len(lines),
        "top": [top(n) for n in (2, 3, 4)],
        "duplicate": [find_all_duplicate(words, n) / len(text) for n in range(5, 11)],
        "line_punctuation": sum(1 for line in full if line.endswith(tuple(TERMINAL_PUNCTUATION))) / len(full),
        "new_lines": text.count("\n") / len(words),
        "word_length": float(np.mean([len(w) for w in symbols])) if symbols else 0,
        "alpha_words": sum(any(c.isalpha() for c in w) for w in words) / len(words),
        "stop_words": len(set(STOPS).intersection(set(words))),
    }


def main():
    texts, out = sys.argv[1:]
    json.dump([statistics(t) for t in json.load(open(texts))], open(out, "w"), ensure_ascii=False, indent=0)


if __name__ == "__main__":
    main()
