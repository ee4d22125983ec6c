"""Writes lists of sample rows as Markdown, for docs/data-samples.md.

    python reference/data/samples.py TITLE=ROWS.jsonl… > LIST.md

ROWS are rows of a stage, accepted or rejected, as JSON lines (`barka show --json`). A row is one line: its dataset, kind or
template, its reason if it was rejected, and its messages or its text, shortened.
"""

import json
import sys
import textwrap

MOST, LENGTH = 20, 170


def short(text):
    text = " ".join(text.split())
    text = text if len(text) <= LENGTH else text[:LENGTH].rsplit(" ", 1)[0] + " …"
    for character in "\\`*_[]<>|":
        text = text.replace(character, "\\" + character)
    return text


def line(row):
    labels = [row.get(key) for key in ("dataset", "kind", "template") if row.get(key)]
    if row.get("reason"):
        labels.append(f"**{row['reason']}**" + (f" ({short(row['detail'])})" if row.get("detail") else ""))
    texts = [m["content"] for m in row.get("messages") or ()]
    if not texts:
        texts = [a["text"] for a in (row.get("answers") or ())[-2:]] or [row.get("text", "")]
    return f"*{', '.join(labels)}*: " + " → ".join(short(t) for t in texts)


def main():
    for argument in sys.argv[1:]:
        title, path = argument.split("=", 1)
        print(f"## {title}\n")
        with open(path, encoding="utf-8") as f:
            for i, text in zip(range(1, MOST + 1), f):
                print(textwrap.fill(f"{i}. {line(json.loads(text))}", 110, subsequent_indent="   ", break_long_words=False))
        print()


if __name__ == "__main__":
    main()
