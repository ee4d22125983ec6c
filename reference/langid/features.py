"""Features of the language identifier, exactly as internal/langid computes them.

A text is reduced to the letters of one script, in lower case, with one blank
between words and at both ends. Its features are the n-grams of one to five
characters without a blank inside. An n-gram is known by a hash of 32 bits.
"""
import unicodedata

import numpy as np

MAX_N = 5
BASIS, PRIME = np.uint32(0x811C9DC5), np.uint32(0x01000193)


def in_script(cp, script):
    if script == "Arab":
        return 0x620 <= cp <= 0x6FF or 0x750 <= cp <= 0x77F or 0x8A0 <= cp <= 0x8FF
    return cp < 0x250 or 0x1E00 <= cp <= 0x1EFF


def keep(c, script):
    """The character as a feature, " " for a boundary, "" for one that is left out."""
    cp = ord(c)
    if script == "Arab":
        signs = 0x6D6 <= cp <= 0x6ED and cp not in (0x6E5, 0x6E6)
        if 0x64B <= cp <= 0x652 or cp in (0x670, 0x640) or 0x610 <= cp <= 0x61A or signs:
            return ""
    if unicodedata.category(c)[0] == "L" and in_script(cp, script):
        return c
    if unicodedata.category(c) == "Mn":
        return c if script == "Arab" and in_script(cp, script) else ""
    return " "


class Normal:
    def __init__(self, script):
        self.script, self.cache = script, {}

    def __call__(self, text):
        text = unicodedata.normalize("NFKC", text).lower()
        cache = self.cache
        for c in set(text):
            if c not in cache:
                cache[c] = keep(c, self.script)
        return " " + " ".join("".join([cache[c] for c in text]).split()) + " "


def hashes(texts):
    """The n-grams of normalised texts: (hash, index of its text), for all texts."""
    joined = "".join(texts)
    cps = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    owner = np.repeat(np.arange(len(texts), dtype=np.int32), [len(t) for t in texts])
    space = cps == 32
    h = np.full(len(cps), BASIS, dtype=np.uint32)
    alive = np.ones(len(cps), dtype=bool)
    out_h, out_o = [], []
    with np.errstate(over="ignore"):
        for n in range(MAX_N):
            at = np.arange(len(cps)) + n
            ok = at < len(cps)
            at = np.minimum(at, len(cps) - 1)
            alive &= ok & (owner[at] == owner)
            h = (h ^ cps[at]) * PRIME
            if n > 0:
                out_h.append(h[alive]), out_o.append(owner[alive])
                alive = alive & ~space[at]  # nothing goes on behind a blank
            else:
                keep_one = alive & ~space
                out_h.append(h[keep_one]), out_o.append(owner[keep_one])
    return np.concatenate(out_h), np.concatenate(out_o)
