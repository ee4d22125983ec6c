"""Writes corpus.txt: sentences of TICO-19 (English and Arabic, CC0-1.0), the text the small tokenizers are trained on.

usage: corpus.py all.en-ar.tmx.zip
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as xml
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    with zipfile.ZipFile(sys.argv[1]) as z:
        root = xml.fromstring(z.read(next(n for n in z.namelist() if n.endswith(".tmx"))))
    pairs = []
    for unit in root.iter("tu"):
        segments = [re.sub(r"\s+", " ", "".join(s.itertext())).strip() for s in unit.iter("seg")]
        if len(segments) == 2 and all(20 < len(s) < 160 for s in segments):
            pairs.append(segments)
    lines, seen = [], set()
    for pair in pairs[:: max(1, len(pairs) // 150)]:
        for s in pair:
            if s not in seen:
                seen.add(s)
                lines.append(s)
    (HERE / "corpus.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(len(lines), "lines")


if __name__ == "__main__":
    main()
