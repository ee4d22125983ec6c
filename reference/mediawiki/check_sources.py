"""Compares what barka wiki reads from a real MediaWiki with the same pages through its dump.

    python3 reference/mediawiki/check_sources.py BARKA FAULTS DIR

DIR holds the programs (mediawiki.py unpack DIR). FAULTS is reference/mediawiki/faults, a proxy
that answers with 429 and a date, 503, resets, half an answer, HTML, nothing and maxlag. Pages
in each form come through it with three requests at once. Those fetched as wikitext must equal
the dump's rows, and those as HTML and as plain text must have the same text, but for white
space. A second run must take all pages from the cache.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from mediawiki import NOT_NOW, MediaWiki, Unavailable

SENTENCE = "It is a page about {0}, made for this check, and it is long enough to become a passage of its own."


def pages():
    made = {}
    names = ["Coffee", "Tea", "القهوة", "الشاي", "A & B", "Café", "Cup", "Sugar"]
    for i, name in enumerate(names):
        other = names[(i + 1) % len(names)]
        made[name] = (
            f"'''{name}''' is known in the whole world. {SENTENCE.format(name)} See [[{other}|the next one]].\n"
            f"== History ==\nIn {1900 + i}, {name} was written down. {SENTENCE.format(name)}<ref>A source.</ref>\n"
            f"=== Later ===\n{SENTENCE.format('later times')} There were {i + 2} of them, and ''no more''.\n\n"
            f"A second paragraph says that {name} is {i * 7} years old, &amp; <nowiki>[[not a link]]</nowiki>.\n"
            "== See also ==\n* [[Coffee]]\n[[Category:Drinks]]\n")
    made["Kahwa"] = "#REDIRECT [[Coffee]]"
    return made


def rows(barka, out, *args):
    command = [barka, "wiki", *args, "--out", str(out), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return shown(barka, out)


def shown(barka, out):
    text = subprocess.run([barka, "show", str(out), "-n", "0", "--json"], capture_output=True, text=True, check=True).stdout
    return {(r["title"], r["section"]): r for r in map(json.loads, text.splitlines())}


def flat(text):
    return " ".join(text.split())


def check(barka, faults, directory):
    with tempfile.TemporaryDirectory() as temporary, MediaWiki(directory) as wiki:
        work = pathlib.Path(temporary)
        wiki.edit(pages())
        wiki.dump(work / "dump.xml")
        (work / "titles.txt").write_text("\n".join([*pages(), "Nowhere"]), encoding="utf-8")
        dump = rows(barka, work / "dump", "--dump", str(work / "dump.xml"), "--title-file", str(work / "titles.txt"))
        if len(dump) != 24:
            raise SystemExit(f"{len(dump)} passages of the dump, expected 24")
        for form in ("wikitext", "html", "extract"):
            args = ("--api", "$MEDIAWIKI_API", "--contact", "check@barka.test", "--form", form, "--concurrency", "3",
                    "--cache", str(work / "cache"), "--title-file", str(work / "titles.txt"))
            command = " ".join([f'"{barka}"', "wiki", *(f'"{a}"' for a in args)])
            out, again = work / form, work / f"{form}-again"
            shell = f'{command} --out "{out}" && {command} --out "{again}"'
            done = subprocess.run([faults, wiki.api_url, "sh", "-c", shell], capture_output=True, text=True)
            print(form, *(line for line in done.stderr.splitlines() if "cache" in line or "faults:" in line), sep="\n  ")
            if done.returncode != 0:
                raise SystemExit(done.stdout + done.stderr)
            if "8 pages came from the cache" not in done.stderr:
                raise SystemExit("the second run did not take its pages from the cache:\n" + done.stderr)
            got = shown(barka, out)
            if got.keys() != dump.keys():
                raise SystemExit(f"{form}: other passages: {sorted(got.keys() ^ dump.keys())}")
            for key, r in got.items():
                if r["revision"] != dump[key]["revision"] or flat(r["text"]) != flat(dump[key]["text"]):
                    had = dump[key]
                    raise SystemExit(f"{form}: {key}:\n{r['revision']} {r['text']}\nthe dump has\n{had['revision']} {had['text']}")
                if form == "wikitext" and r["text"] != dump[key]["text"]:
                    raise SystemExit(f"{form}: {key}: another white space")
            print(f"{form}: {len(got)} passages are those of the dump")


if __name__ == "__main__":
    try:
        check(*sys.argv[1:4])
    except Unavailable as e:
        print("skipped:", e)
        sys.exit(NOT_NOW)
