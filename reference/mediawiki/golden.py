"""The golden passages of internal/wikitext beside the same passages as MediaWiki renders them.

    python3 reference/mediawiki/golden.py DIR [--write]

DIR holds the programs (see mediawiki.py). Each passage is rendered by action=parse and by
TextExtracts. The words of the HTML, without references, notices and file captions, are
compared with the words of the golden text: a word that only MediaWiki has is lost, one that
only the golden text has is added. differences.json beside the passages lists both; the
script fails if it is not up to date, and --write writes it. Exit status 75: no MediaWiki.
"""

import concurrent.futures
import difflib
import html.parser
import json
import pathlib
import re
import sys
import unicodedata

import mediawiki
import templates

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "internal/wikitext/testdata/golden"
SKIPPED = {"reference", "mw-references-wrap", "mw-editsection", "thumb", "noprint", "hatnote", "metadata", "toc"}
VOID = {"br", "hr", "img", "wbr", "link", "meta", "input"}


class Text(html.parser.HTMLParser):
    """The visible text of a page, with a blank between blocks."""

    def __init__(self):
        super().__init__()
        self.out, self.stack = [], []

    def hidden(self):
        return any(self.stack)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        classes = set((attrs.get("class") or "").split())
        missing = "new" in classes and re.match(r"(Template|قالب):", attrs.get("title") or "")
        skip = bool(classes & SKIPPED) or tag in ("style", "script", "figure") or "display: none" in (attrs.get("style") or "") or missing
        if tag not in VOID:
            self.stack.append(skip)
        if tag not in ("b", "i", "a", "span", "sup", "sub", "small", "code", "bdi", "em", "strong"):
            self.out.append(" ")

    def handle_endtag(self, tag):
        if tag not in VOID and self.stack:
            self.stack.pop()
        if tag not in ("b", "i", "a", "span", "sup", "sub", "small", "code", "bdi", "em", "strong"):
            self.out.append(" ")

    def handle_data(self, data):
        if not self.hidden():
            self.out.append(data)


def words(text):
    """Words and numbers: raised and lowered text joins what it stands behind in both forms."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"\\[()]|[$^_{}]|\u200b|\u200e|\u200f", "", text)
    text = re.sub(r"(?m)^\s*\d+\. ", "", text)  # numbers of items, which browsers make
    return re.findall(r"[\w٬٫.,]*\w", re.sub(r"\((?=[\w+−-]*\))", "", text))


def different(theirs, ours):
    lost, added = [], []
    for op, a, b, c, d in difflib.SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if op != "equal":
            lost += theirs[a:b]
            added += ours[c:d]
    return " ".join(lost), " ".join(added)


def main():
    directory, write = sys.argv[1], "--write" in sys.argv
    try:
        mediawiki.unpack(directory)
    except mediawiki.Unavailable as e:
        print(f"no MediaWiki here: {e}", file=sys.stderr)
        sys.exit(mediawiki.NOT_NOW)
    found, total = {}, [0, 0, 0]
    for lang in ("en", "ar"):
        passages = {f.stem: f for f in sorted((GOLDEN / lang).glob("*.wiki"))}
        with mediawiki.MediaWiki(directory, lang) as wiki:
            wiki.edit(templates.pages(lang) | {"Passage " + name: f.read_text(encoding="utf-8") for name, f in passages.items()})
            with concurrent.futures.ThreadPoolExecutor(3) as pool:  # the server has three workers
                rendered = dict(zip(passages, pool.map(lambda n: (wiki.html("Passage " + n), wiki.extract("Passage " + n)), passages)))
            for name, f in passages.items():
                ours = words(f.with_suffix(".txt").read_text(encoding="utf-8").replace("=", " "))
                page = Text()
                page.feed(rendered[name][0])
                theirs = words("".join(page.out).replace("=", " "))
                extract = words(rendered[name][1].replace("=", " "))
                entry = dict(zip(("lost", "added"), different(theirs, ours)))
                entry |= dict(zip(("lost_of_extract", "added_to_extract"), different(extract, ours)))
                found[f"{lang}/{name}"] = {k: v for k, v in entry.items() if v}
                for i, n in enumerate((len(theirs), len(entry["lost"].split()), len(entry["added"].split()))):
                    total[i] += n
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    record = GOLDEN / "differences.json"
    print(f"{len(found)} passages, {total[0]} words in MediaWiki's HTML, {total[1]} lost, {total[2]} added")
    if write:
        record.write_text(text, encoding="utf-8")
    elif not record.exists() or record.read_text(encoding="utf-8") != text:
        print(f"{record} is not what this MediaWiki gives; look at the difference, and run with --write", file=sys.stderr)
        then = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
        for name in found:
            if found[name] != then.get(name):
                print(name, json.dumps(found[name], ensure_ascii=False), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
