"""What the shared slice of the English Wikipedia loses on its way to text.

    pip install wikiextractor==3.0.6
    python reference/data/wiki_defects.py DUMP.xml.bz2 PASSAGES.jsonl…

counts in passages of `barka wiki --min-chars 0 --out P.jsonl`, and in the output of wikiextractor
on the same dump: empty brackets, leftover markup, exponents that became digits, and numbers of
the source that are in no text of their page. Numbers in references, tables, formulas, captions,
targets of links, sections of references, and in templates that show none do not count.
"""

import bz2
import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

EMPTY = re.compile(r"\(\s*[,;:]*\s*\)|\(\s*[,;:]|[,;:]\s*\)|\[\s*\]")
MARKUP = re.compile(r"\{\{|\}\}|\[\[|\]\]|'''|<ref|</|&[a-z]+;|\{\||\|\}|^\|", re.M)
# Python 3.11 wants the flags of an expression at its beginning.
EXTRACTOR = """
import re
compile = re.compile
def patched(p, flags=0):
    return compile(p.replace("(?i)", ""), flags | re.I) if isinstance(p, str) and p.find("(?i)") > 0 else compile(p, flags)
re.compile = patched
from wikiextractor.WikiExtractor import main
main()
"""
END = re.compile(r"(?m)^==\s*(?:See also|References|Notes|External links|Further reading|Bibliography|Sources|Footnotes)\s*==")
# Templates with numbers that readers see in running text.
SEEN = re.compile(r"\s*(?:convert|cvt|val|frac|sfrac|formatnum|chem|nowrap|circa|c\.|as of|quote|lang)\s*[|:]", re.I)
FORMULA = re.compile(r"\\\(.*?\\\)", re.S)


def articles(dump):
    text = bz2.open(dump, "rt", encoding="utf-8").read()
    for page in re.findall(r"<page>(.*?)</page>", text, re.S):
        if "<redirect" not in page and "<ns>0</ns>" in page:
            body = re.search(r"<text[^>]*>(.*?)</text>", page, re.S)
            yield html.unescape(re.search(r"<title>(.*?)</title>", page).group(1)), html.unescape(body.group(1))


def templates(source):
    """The source with only those templates that are SEEN."""
    out, depth = [], []
    for part in re.split(r"(\{\{|\}\})", source):
        if part == "{{":
            depth.append(None)
        elif part == "}}":
            if depth:
                depth.pop()
        else:
            if depth and depth[-1] is None:
                depth[-1] = bool(SEEN.match(part))
            out.append(part if all(depth) else " ")
    return "".join(out)


def strip(source):
    source = re.sub(r"(?s)<!--.*?-->|<ref[^>/]*>.*?</ref>|<ref[^>]*/>", " ", source)
    source = re.sub(r"(?s)<(gallery|math|timeline).*?</\1>", " ", source)
    source = templates(END.split(source)[0])
    source = re.sub(r"(?s)\{\|.*?\n\|\}|\[\[(?:File|Image):(?:[^\[\]]|\[\[[^\]]*\]\])*\]\]|\[https?:\S+", " ", source)
    source = re.sub(r"\[\[[^\[\]|]*\|", "[[", source)  # targets of links
    source = re.sub(r"</?su[bp]>", "", source)
    return re.sub(r"<[^>]*>|\w+\s*=\s*\"[^\"]*\"|&\w+;", " ", source)


def numbers(text):
    text = unicodedata.normalize("NFKC", text).replace(",", "").replace("^", "").replace("_", "")
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def exponents(source):
    return re.findall(r"(\d+)<sup>([-−]?\d+)</sup>", source)


def report(name, texts, sources):
    empty = markup = lost = total = flat = powers = chars = 0
    for title, source in sources.items():
        text = texts.get(title, "")
        plain = FORMULA.sub("F", text)
        chars += len(text)
        empty += len(EMPTY.findall(plain))
        markup += len(MARKUP.findall(plain))
        wanted = numbers(strip(source))
        have = numbers(text)
        total += len(wanted)
        lost += len(wanted - have)
        for base, power in exponents(source):
            powers += 1
            flat += base + power.replace("−", "-") in text.replace("−", "-")
    print(f"{name:28} {len(texts):4} pages {chars:9,} characters  empty brackets {empty:4}  leftover markup {markup:5}  "
          f"exponents as digits {flat}/{powers}  numbers lost {lost}/{total}")


def main():
    dump, passages = sys.argv[1], sys.argv[2:]
    sources = dict(articles(dump))
    for path in passages:
        texts = {}
        for line in open(path, encoding="utf-8"):
            row = json.loads(line)
            texts[row["title"]] = texts.get(row["title"], "") + "\n\n" + row["section"] + "\n" + row["text"]
        report(pathlib.Path(path).name, texts, {t: s for t, s in sources.items() if t in texts})
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, "-c", EXTRACTOR, dump, "--json", "--no-templates", "-q", "-o", out], check=True)
        texts = {}
        for file in pathlib.Path(out).rglob("wiki_*"):
            for line in file.open(encoding="utf-8"):
                row = json.loads(line)
                texts[row["title"]] = html.unescape(row["text"])
    report("wikiextractor 3.0.6", texts, {t: s for t, s in sources.items() if texts.get(t)})


if __name__ == "__main__":
    main()
