"""Times `barka wiki` beside wikiextractor and mwparserfromhell on the same pages.

    pip install -r reference/data/wiki_requirements.txt
    python reference/data/wiki_compare.py BARKA DUMP.xml[.bz2] [--times 12]
    python reference/data/wiki_compare.py BARKA DUMP.xml[.bz2] --forms    # barka alone; needs no package

The dump's pages are repeated with other titles and ids, and with numbers among the words so that
no text repeats. They are written as XML without compression. Each program runs once, in processes
of its own:

- barka on all processors, with all its work: passages, rejected rows, journal.
- wikiextractor with as many workers as there are processors, without templates.
- mwparserfromhell in one process over pages that a regular expression cuts out, each page once
  because it is the slowest. Links to files and categories, references and tables are removed, then
  strip_code makes the text.

--forms times barka on the XML, on a multistream dump with ten pages per stream, and on one bzip2 stream, three times each, and
prints the fastest.

Prints megabytes of XML per second and per second of processor time, the peak memory of the largest
process, and the characters of text per copy of the pages.
"""

import argparse
import bz2
import html
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

import multistream
from wiki_defects import EXTRACTOR

PARSER = r"""
import html, json, re, sys
import mwparserfromhell
for page in re.findall(r"<page>(.*?)</page>", open(sys.argv[1], encoding="utf-8").read(), re.S):
    if "<redirect" in page or "<ns>0</ns>" not in page:
        continue
    code = mwparserfromhell.parse(html.unescape(re.search(r"<text[^>]*>(.*?)</text>", page, re.S).group(1)))
    drop = code.filter_wikilinks(matches=lambda l: re.match(r"(?i)\s*(file|image|category):", str(l.title)))
    drop += code.filter_tags(matches=lambda t: str(t.tag).lower() in ("ref", "table"))
    for node in drop:
        try:
            code.remove(node)
        except ValueError:  # it lay in one that was removed
            pass
    json.dump({"text": code.strip_code()}, sys.stdout)
    print()
"""

LAUNCHER = """
import os, resource, sys
_, status = os.waitpid(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
u = resource.getrusage(resource.RUSAGE_CHILDREN)
print([u.ru_utime + u.ru_stime, u.ru_maxrss * 1024], file=sys.stderr)
sys.exit(status != 0)
"""


def repeated(dump, times, path):
    """Writes the dump with its pages so many times over; returns the size in bytes."""
    text = (bz2.open if dump.endswith(".bz2") else open)(dump, "rt", encoding="utf-8").read()
    start, end = text.index("<page>"), text.rindex("</page>") + len("</page>")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text[:start])
        for i in range(times):
            pages = text[start:end]
            if i:  # other texts too, or barka would drop them as duplicates
                pages = pages.replace("<title>", f"<title>{i} ").replace(" the ", f" the {i} ").replace(" of ", f" of {i} ")
            f.write(re.sub(r"(</title>\s*<ns>\d+</ns>\s*<id>)", rf"\g<1>{i + 1}", pages) + "\n")
        f.write("</mediawiki>\n")
    return os.path.getsize(path)


def run(command, out=None):
    """Runs a command; returns seconds, seconds of processor time, and bytes of the largest process."""
    # The launcher is small, because a new process starts with the peak of the one that it comes from.
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *command], stdout=out or subprocess.DEVNULL, stderr=subprocess.PIPE)
    took = time.monotonic() - start
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr.decode()}")
    processor, peak = json.loads(done.stderr.splitlines()[-1])
    return took, processor, peak


def characters(path):
    return sum(len(html.unescape(json.loads(line)["text"])) for line in open(path, encoding="utf-8"))


def forms(barka, work, dump, size):
    """Times barka on a dump as it is, as a multistream dump and as one bzip2 stream."""
    many, one = str(work / "pages-multistream.xml.bz2"), str(work / "one.xml.bz2")
    multistream.write(dump, many, 10)
    pathlib.Path(one).write_bytes(bz2.compress(pathlib.Path(dump).read_bytes()))
    for name, path in ((".xml", dump), ("multistream", many), (".xml.bz2", one)):
        measured = []
        for i in range(3):
            measured.append(run([barka, "wiki", "--dump", path, "--min-chars", "0", "--out", str(work / f"{name}-{i}")]))
        took, processor, peak = min(measured)
        print(f"{name}: {size / 1e6 / took:.0f} MB/s, {size / 1e6 / processor:.0f} per second of processor time, {peak / 2**20:.0f} MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("barka")
    parser.add_argument("dump")
    parser.add_argument("--times", type=int, default=12)
    parser.add_argument("--forms", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        once, dump = str(work / "once.xml"), str(work / "pages.xml")
        short, size = repeated(args.dump, 1, once), repeated(args.dump, args.times, dump)
        if args.forms:
            return forms(args.barka, work, dump, size)
        print(f"{size / 1e6:.1f} MB of XML, {short / 1e6:.1f} for mwparserfromhell; {os.cpu_count()} processors, "
              f"Python {platform.python_version()}")
        print("| program | seconds | MB of XML per s | MB per s of processor time | peak memory | characters per copy |")
        print("|---|---:|---:|---:|---:|---:|")

        def show(name, measured, chars, size, times):
            took, processor, peak = measured
            print(f"| {name} | {took:.1f} | {size / 1e6 / took:.2f} | {size / 1e6 / processor:.2f} | {peak / 2**20:.0f} MiB "
                  f"| {chars // times:,} |", flush=True)

        passages = work / "passages.jsonl"
        measured = run([args.barka, "wiki", "--dump", dump, "--min-chars", "0", "--out", str(passages)])
        show("barka wiki", measured, characters(passages), size, args.times)
        measured = run([sys.executable, "-c", EXTRACTOR, dump, "--json", "--no-templates", "-q", "--processes", str(os.cpu_count()),
                        "-o", str(work / "extracted")])
        show(f"wikiextractor {version('wikiextractor')}", measured,
             sum(map(characters, (work / "extracted").rglob("wiki_*"))), size, args.times)
        with open(work / "stripped.jsonl", "w", encoding="utf-8") as out:
            measured = run([sys.executable, "-c", PARSER, once], out)
        show(f"mwparserfromhell {version('mwparserfromhell')}", measured, characters(work / "stripped.jsonl"), short, 1)


if __name__ == "__main__":
    main()
