"""Trains the model of internal/langid: python train.py CLONES OUT

A softmax over the n-grams of features.py, one table for each script. The
n-grams are those whose weights matter most; weights are bytes. corpus.py has
the sources and their licences.
"""
import random
import struct
import sys

import numpy as np
import scipy.sparse as sp

from corpus import SOURCES, training
from features import Normal, hashes

PER_LANGUAGE = 12000  # lines; fewer are repeated as fragments
TABLE = {"Arab": 11000, "Latn": 4200}
CANDIDATES = 60000
EPOCHS = 14


def fragments(lines, rng, n):
    """n pieces of 1 to 25 words, short ones as often as long ones."""
    out = []
    while len(out) < n:
        words = lines[rng.randrange(len(lines))].split()
        k = min(len(words), int(2 ** (rng.random() * 4.7)) + 1)
        at = rng.randrange(len(words) - k + 1)
        out.append(" ".join(words[at : at + k]))
    return out


def disguised(s, language, rng):
    """Persian, Urdu and others often come with Arabic keyboards' letters; Arabic with Persian ones."""
    roll = rng.random()
    if language == "arb_Arab":
        if roll < 0.04:
            return s.replace("ي", "ی").replace("ك", "ک")
        if roll < 0.10:
            return s.replace("ي ", "ى ")
        if roll < 0.16:
            return s.replace("أ", "ا").replace("إ", "ا").replace("ة ", "ه ")
    elif language in ("fas_Arab", "urd_Arab", "pnb_Arab", "pus_Arab") and roll < 0.2:
        return s.replace("ی", "ي").replace("ک", "ك")
    return s


def samples(clones, language):
    rng = random.Random("samples " + language)
    real, made = training(clones, language)
    weight = {"arb_Arab": 4, "fas_Arab": 2, "urd_Arab": 2, "eng_Latn": 2}.get(language, 1)
    n = PER_LANGUAGE * weight
    if language == "glk_Arab":
        n //= 2
    share = 0.75 if len(real) > 1000 else 0.5 if len(real) > 60 else 0.2
    if not made:
        share = 1
    out = fragments(real, rng, int(n * share))
    if made:
        out += fragments(made, rng, n - len(out))
    return [disguised(s, language, rng) for s in out]


def matrix(h, owner, keys, n):
    """Rows of n-gram shares: the counts of known n-grams over all n-grams of the text."""
    order = np.argsort(keys)
    sorted_keys = keys[order]
    at = np.minimum(np.searchsorted(sorted_keys, h), len(keys) - 1)
    hit = sorted_keys[at] == h
    x = sp.csr_matrix((np.ones(hit.sum(), np.float32), (owner[hit], order[at[hit]])), shape=(n, len(keys)))
    total = np.maximum(np.bincount(owner, minlength=n), 1).astype(np.float32)
    return sp.diags(1 / total).dot(x).tocsr().astype(np.float32)


def softmax(z):
    z = z - z.max(1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(1, keepdims=True)


def fit(x, y, classes, w=None, epochs=EPOCHS, rate=6.0, l2=2e-7):
    """Adagrad in minibatches."""
    n, d = x.shape
    w = np.zeros((d, classes), np.float32) if w is None else w
    b, gw, gb = np.zeros(classes, np.float32), np.full((d, classes), 1e-6, np.float32), np.full(classes, 1e-6, np.float32)
    rng = np.random.default_rng(7)
    for epoch in range(epochs):
        order, loss = rng.permutation(n), 0.0
        for i in range(0, n, 2048):
            part = order[i : i + 2048]
            xb = x[part]
            p = softmax(xb @ w + b)
            loss -= np.log(p[np.arange(len(part)), y[part]] + 1e-9).sum()
            p[np.arange(len(part)), y[part]] -= 1
            g = xb.T @ p / len(part) + l2 * w
            gw += g * g
            w -= rate * g / np.sqrt(gw)
            g = p.mean(0)
            gb += g * g
            b -= 0.1 * g / np.sqrt(gb)
        print(f"  epoch {epoch}: loss {loss / n:.4f}", flush=True)
    return w, b


def table(clones, script):
    languages = [l for l in SOURCES if l.endswith(script)]
    texts, labels = [], []
    normal = Normal(script)
    for i, language in enumerate(languages):
        lines = [t for t in (normal(s) for s in samples(clones, language)) if len(t) > 3]
        texts += lines
        labels += [i] * len(lines)
    y = np.array(labels)
    print(script, len(texts), "samples", flush=True)
    h, owner = hashes(texts)
    # Candidates: the n-grams in most texts of some language, in order of their informativeness.
    keys, inverse = np.unique(h, return_inverse=True)
    counts = np.zeros((len(keys), len(languages)), np.float32)
    np.add.at(counts, (inverse, y[owner]), 1)
    sums = np.bincount(y[owner], minlength=len(languages))
    rate = counts / sums
    mean = rate.mean(1, keepdims=True) + 1e-9
    gain = (rate * np.log((rate + 1e-9) / mean)).sum(1)
    gain[counts.sum(1) < 12] = -1
    keys = keys[np.argsort(-gain)[:CANDIDATES]]
    x = matrix(h, owner, keys, len(texts))
    w, _ = fit(x, y, len(languages), epochs=5)
    use = np.asarray(x.sum(0)).ravel()
    spread = (w - w.mean(1, keepdims=True)).std(1)
    keys = keys[np.argsort(-spread * np.sqrt(use))[: TABLE[script]]]
    x = matrix(h, owner, keys, len(texts))
    w, b = fit(x, y, len(languages))
    w -= w.mean(1, keepdims=True)
    scale = np.percentile(np.abs(w), 99.9) / 127
    q = np.clip(np.rint(w / scale), -127, 127).astype(np.int8)
    p = softmax(x @ (q.astype(np.float32) * scale) + b)
    print(f"{script}: {(p.argmax(1) == y).mean():.4f} of the training fragments after rounding", flush=True)
    return languages, keys.astype(np.uint32), q, scale, b - b.mean()


def main():
    clones, out = sys.argv[1:]
    with open(out, "wb") as f:
        f.write(b"BLID1\n")
        for script in TABLE:
            languages, keys, q, scale, bias = table(clones, script)
            order = np.argsort(keys)
            f.write(struct.pack("<4sBIf", script.encode(), len(languages), len(keys), scale))
            f.write(b"".join(l[:3].encode() for l in languages))
            f.write(bias.astype("<f4").tobytes())
            f.write(keys[order].astype("<u4").tobytes())
            f.write(q[order].tobytes())


if __name__ == "__main__":
    main()
