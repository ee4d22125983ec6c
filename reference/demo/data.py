"""Writes the demonstration's articles and questions, and the held-out questions of its evaluation.

    python reference/demo/data.py [--towns N] [--questions N] [--held-out N] [--out DIR]

    internal/demo/data/pages.xml                 an XML dump of articles about towns, in English
    internal/demo/data/questions.json            questions with options about other towns, in English and SciQ's layout
    internal/demo/data/benchmarks/…/sciq_ar      held-out questions about further towns, in Arabic
"""

import argparse
import json
import pathlib
import random
from xml.sax.saxutils import escape

import corpus
from vocabulary import ROOT
from world import ARTICLES, HELD_OUT, SECTIONS, facts, name

TASK = pathlib.Path("benchmarks", "OALL", "AlGhafa-Arabic-LLM-Benchmark-Translated", "sciq_ar")
HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Barka demonstration pages</sitename>
    <dbname>demowiki</dbname>
    <base>https://example.org/wiki/Main_Page</base>
  </siteinfo>
"""
PAGE = """  <page>
    <title>{title}</title>
    <ns>0</ns>
    <id>{number}</id>
    <revision>
      <id>{revision}</id>
      <timestamp>2026-11-27T00:00:00Z</timestamp>
      <text bytes="{size}" xml:space="preserve">{text}</text>
    </revision>
  </page>
"""


def article(rng, town):
    """Wikitext: a lead and two sections, the town's name bold where it comes first."""
    parts = []
    for section in SECTIONS:
        text = corpus.join(facts(rng, town, section, ARTICLES))
        parts.append(f"== {section} ==\n{text}" if section else text.replace(town[0], f"'''{town[0]}'''", 1))
    return "\n\n".join(parts) + "\n"


def pages(rng, towns):
    out, seen = [HEAD], set()
    for i in range(towns):
        while (town := name(rng, ARTICLES)) in seen:
            pass
        seen.add(town)
        text = article(rng, town)
        out.append(PAGE.format(title=town[0], number=i + 1, revision=1001 + i, size=len(text.encode()), text=escape(text)))
    return "".join(out) + "</mediawiki>\n"


def question(choice, side):
    """A question in SciQ's layout."""
    row = {"question": choice.asked.question()[side]}
    row |= {f"distractor{i + 1}": v[side] for i, v in enumerate(choice.wrong)}
    return row | {"correct_answer": choice.right[side], "support": choice.text()[side]}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towns", type=int, default=60)
    parser.add_argument("--questions", type=int, default=900)
    parser.add_argument("--held-out", type=int, default=160)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "internal" / "demo" / "data")
    args = parser.parse_args()
    write(args.out / "pages.xml", pages(random.Random(11), args.towns))
    rng = random.Random(12)
    rows = [question(corpus.ordered(rng, ARTICLES), 0) for _ in range(args.questions)]
    write(args.out / "questions.json", json.dumps(rows, indent=0) + "\n")
    rng = random.Random(13)
    held = [json.dumps(question(corpus.ordered(rng, HELD_OUT), 1), ensure_ascii=False) + "\n" for _ in range(args.held_out + 2)]
    write(args.out / TASK / "test.jsonl", "".join(held[2:]))
    write(args.out / TASK / "validation.jsonl", "".join(held[:2]))


if __name__ == "__main__":
    main()
