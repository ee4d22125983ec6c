"""Writes the fingerprints by which filter recognises verses: python quran.py QURAN OUT

QURAN is dist/quran.json of the npm package quran-json 3.1.2 (CC-BY-SA-4.0, Uthmani text of
quranenc.com). OUT is internal/stage/filter/quran.bin: a Bloom filter of runs of 12 letters of the
text without marks, alefs and blanks, of which those with an odd hash are left out. No text is in it.
"""
import json
import re
import sys
import unicodedata

RUN, BITS, PROBES = 12, 1 << 20, 5


def skeleton(text):
    """The letters that every spelling of a verse shares."""
    text = re.sub("\u0648\u0670|\u0649\u0670(?=[\u0621-\u064A])", "", text)  # waw and ya that stand for alef
    out = []
    for c in unicodedata.normalize("NFKC", text):
        if c in "\u0649\u0626\u06cc":
            c = "\u064a"
        elif c == "\u0629":
            c = "\u0647"
        elif c == "\u0624":
            c = "\u0648"
        elif c == "\u06a9":
            c = "\u0643"
        if "\u0628" <= c <= "\u064a" and c != "\u0640":
            out.append(c)
    return "".join(out)


def hashes(skel):
    """FNV-1a (64 bits) of each run."""
    for i in range(len(skel) - RUN + 1):
        h = 0xCBF29CE484222325
        for c in skel[i : i + RUN]:
            h = (h ^ ord(c)) * 0x100000001B3 & (1 << 64) - 1
        yield h ^ h >> 32


def main():
    quran, out = sys.argv[1:]
    bits, n = bytearray(BITS // 8), 0
    for sura in json.load(open(quran)):
        text = "".join(skeleton(v["text"]) for v in sura["verses"])
        for h in set(hashes(text)):
            if h & 1:
                continue
            n += 1
            for k in range(PROBES):
                at = (h >> 1) + k * (h >> 40 | 1) & BITS - 1
                bits[at // 8] |= 1 << at % 8
    open(out, "wb").write(bits)
    print(n, "runs,", sum(b.bit_count() for b in bits) / BITS, "of the bits set")


if __name__ == "__main__":
    main()
