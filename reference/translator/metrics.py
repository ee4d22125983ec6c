"""What the checks, the ladder and settings of the search do to chrF, chrF++ and BLEU of a model that translates a little.

    python reference/translator/metrics.py BARKA MODEL [--lines N] [--back] [--work DIR]

MODEL is what train.py made, with its test.en and test.ar. Every line of the table is a run of `barka translate` over the
test text, and the figures are those that it prints. sacrebleu's own command scores the same files: the script ends with
status 1 if a digit or a signature differs. A second table has the sentences of each rung of the ladder, as they
were without checks and as the rung left them; a third, the rows of a dataset that are dropped, with their reasons.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

from sacrebleu.metrics import CHRF

VARIANTS = {
    "checks off": ["--checks", "off"],
    "checks default": [],
    "checks strict": ["--checks", "strict"],
    "off, greedy": ["--checks", "off", "--beam", "1"],
    "off, no repeated 4-gram": ["--checks", "off", "--no-repeat-ngram", "4"],
    "off, repetition penalty 1.2": ["--checks", "off", "--repetition-penalty", "1.2"],
    "default, no repeated 4-gram": ["--no-repeat-ngram", "4"],
    "default, int8": ["--dtype", "int8"],
    "off, int8": ["--checks", "off", "--dtype", "int8"],
}
DECIMALS = "4"
CHARACTERS = CHRF()


def run(*words, text=""):
    done = subprocess.run([str(w) for w in words], input=text, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def spread(texts, most):
    """At most this many lines, from all over the text."""
    return texts if most is None else texts[::max(1, len(texts) // most)][:most]


def write(path, texts):
    path.write_text("".join(t + "\n" for t in texts), encoding="utf-8")
    return path


def translate(barka, model, texts, *flags):
    """What became of each line: its text, and its segments with rungs, flags and alternatives."""
    out = run(barka, "translate", "--model", model, "--json", "--quiet", *flags, text="".join(t + "\n" for t in texts))
    rows = [row for row in map(json.loads, out.splitlines()) if "text" in row]
    assert len(rows) == len(texts), f"{len(texts)} lines became {len(rows)}"
    return rows


def scores(barka, hypotheses, reference):
    """BLEU, chrF and chrF++ as barka prints them, each line compared with sacrebleu's."""
    ours = run(barka, "bleu", "--decimals", DECIMALS, "--reference", reference, hypotheses).splitlines()
    theirs = []
    for words in (["bleu"], ["chrf"], ["chrf", "--chrf-word-order", "2"]):
        out = run(sys.executable, "-m", "sacrebleu", reference, "-i", hypotheses, "-m", *words, "-f", "text", "-w", DECIMALS)
        theirs += out.splitlines()
    if [o.strip() for o in ours] != [t.strip() for t in theirs]:
        raise SystemExit("barka and sacrebleu differ:\n" + "\n".join(ours + theirs))
    bleu, chrf, chrfpp = (float(line.split(" = ")[1].split()[0]) for line in ours)
    return {"chrf": chrf, "chrf++": chrfpp, "bleu": bleu}, ours


def cells(s):
    return f"{s['chrf']:.2f} | {s['chrf++']:.2f} | {s['bleu']:.2f}"


def dataset(barka, model, work, name, texts, flags):
    """The counts of the manifest if the lines are rows of a dataset, where failures are dropped."""
    source = work / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
    out = work / f"{name}.jsonl"
    run(barka, "translate", "--model", model, "--in", source, "--columns", "text", "--out", out, "--memory", work / "memory.db",
        "--restart", "--quiet", *flags)
    return json.loads((work / name / "manifest.json").read_text())["counts"]


def oracle(rows, references):
    """The best of each line's hypotheses by chrF against its reference, for lines of one segment."""
    best = []
    for row, reference in zip(rows, references, strict=True):
        choices = [row["text"]]
        if len(row["segments"]) == 1:
            choices += [a["text"] for a in row["segments"][0].get("alternatives") or []]
        best.append(max(choices, key=lambda c: CHARACTERS.sentence_score(c, [reference]).score))
    return best


def by_rung(plain, checked, references):
    """Lines of one segment whose translation a rung of the ladder replaced."""
    found = collections.defaultdict(list)
    for before, after, reference in zip(plain, checked, references, strict=True):
        rungs = {s["rung"] for s in after["segments"] if s["rung"]} - {"whole"}
        if len(rungs) == 1 and before["text"] != after["text"]:
            found[rungs.pop()].append((before["text"], after["text"], reference))
    for rung, triples in sorted(found.items()):
        first, last, truth = ([t[i] for t in triples] for i in range(3))
        print(f"| {rung} | {len(triples)} | {CHARACTERS.corpus_score(first, [truth]).score:.2f} | "
              f"{CHARACTERS.corpus_score(last, [truth]).score:.2f} |")


def flags_of(rows):
    """The flags that remain, and those that a rung mended, by segment."""
    left, mended = collections.Counter(), collections.Counter()
    for row in rows:
        for s in row["segments"]:
            left.update(s["flags"] or ())
            mended.update(s["retried"] or ())
    return left, mended


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("barka", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--lines", type=int, help="only N lines, from all over the test text")
    parser.add_argument("--back", action="store_true", help="also back to English, for a model trained with --reverse")
    parser.add_argument("--work", type=pathlib.Path, help="directory for the outputs (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or pathlib.Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        measure(args.barka.absolute(), args.model, work, args.lines, args.back)


def measure(barka, model, work, most, back_too):
    sources, truths = (spread(lines(model / f"test.{l}"), most) for l in ("en", "ar"))
    english, arabic = write(work / "source.txt", sources), write(work / "reference.txt", truths)
    results, signatures = {}, None
    print(f"{len(sources)} lines\n\n| run | chrF | chrF++ | BLEU |\n|---|---:|---:|---:|")
    for name, flags in VARIANTS.items():
        results[name] = translate(barka, model, sources, *flags, "--num-return", "1" if "greedy" in name else "5")
        hypotheses = write(work / f"{name.replace(' ', '_')}.txt", [r["text"] for r in results[name]])
        table, signatures = scores(barka, hypotheses, arabic)
        print(f"| {name} | {cells(table)} |", flush=True)
    best = write(work / "oracle.txt", oracle(results["checks off"], truths))
    print(f"| off, best of 5 by its reference | {cells(scores(barka, best, arabic)[0])} |")
    for name in ("checks off", "checks default") if back_too else ():
        back = translate(barka, model, [r["text"] for r in results[name]], "--from", "arb_Arab", "--to", "eng_Latn", "--checks", "off")
        back = write(work / f"back_{name.replace(' ', '_')}.txt", [r["text"] for r in back])
        print(f"| {name}, translated back to English | {cells(scores(barka, back, english)[0])} |")
    print("\n" + "\n".join(line.split(" = ")[0] for line in signatures))
    print("\n| rung | lines | chrF without checks | chrF of the rung |\n|---|---:|---:|---:|")
    by_rung(results["checks off"], results["checks default"], truths)
    left, mended = flags_of(results["checks default"])
    before, _ = flags_of(results["checks off"])
    print("\n| flag | segments without checks | mended by a rung | left |\n|---|---:|---:|---:|")
    for flag in sorted(set(before) | set(left) | set(mended)):
        print(f"| {flag} | {before[flag]} | {mended[flag]} | {left[flag]} |")
    print("\n| profile | rows | kept | dropped, by reason |\n|---|---:|---:|---|")
    for profile in ("off", "default", "strict"):
        counts = dataset(barka, model, work, f"rows-{profile}", sources, ["--checks", profile])
        reasons = ", ".join(f"{k.removeprefix('rejected_')} {v}" for k, v in sorted(counts.items()) if k.startswith("rejected_"))
        print(f"| {profile} | {counts['in']} | {counts['out']} | {reasons or '–'} |")


if __name__ == "__main__":
    main()
