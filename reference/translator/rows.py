"""Translates real rows of seven sets, and checks with rules of its own that what must survive has survived.

    python reference/translator/rows.py BARKA MODEL [DATA] [--rows 2000] [--checks default] [--work DIR]

DATA/english holds the sets (README.md). The documentation of the repository is another set, for its code and addresses,
and the only one without DATA. Of every row that `barka translate` keeps, each column has the source's numbers, option
labels, calculator notes, final answer, code spans, addresses and tags. Every other row is among the dropped ones with a
reason. The rules here read the texts alone: they share nothing with barka's segments, placeholders and checks. Exit
status 1 if anything is missing, or if no row is kept.
"""

import argparse
import bz2
import collections
import json
import pathlib
import random
import re
import subprocess
import tempfile
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = ("question", "answer")


def load(path):
    text = path.read_text(encoding="utf-8")
    return [json.loads(l) for l in text.splitlines() if l.strip()] if path.suffix == ".jsonl" else json.loads(text)


def lettered(question, options, form):
    """A question with its options under letters, as (A), A. or A)."""
    return question + "\n" + "\n".join(form.format(chr(65 + i)) + " " + o for i, o in enumerate(options))


def gsm8k(data):
    return [(r["question"], r["answer"]) for r in load(data / "gsm8k/test.jsonl")]


def arc(data):
    """ARC of LLM-Adapters, its options in lines under letters as in ARC's own files."""
    rows = []
    for i, r in enumerate(load(data / "llm-adapters/ARC-Challenge/test.json") + load(data / "llm-adapters/ARC-Easy/test.json")):
        question, options = r["instruction"].split(": ", 1)[1].split("\n\n")[:2]
        options = re.split(r"\s*Answer\d: ", options)[1:]
        right = int(r["answer"][-1]) - 1
        form = ("{}.", "({})", "{})")[i % 3]
        rows.append((lettered(question, options, form), f"{form.format(chr(65 + right))} {options[right]}"))
    return rows


def adapters(name):
    return lambda data: [(r["instruction"], r["output"]) for r in load(data / f"llm-adapters/{name}/test.json")]


def boolq(data):
    long = [(f"{r['passage']}\n\n{r['question']}?", "Yes." if r["label"] in (True, "true") else "No.")
            for r in load(data / "boolq/fewglue_train_32.jsonl")]
    return long + adapters("boolq")(data)


def copa(data):
    rows = []
    for r in load(data / "copa/train.jsonl") + load(data / "copa/val.jsonl"):
        ask = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}[r["question"]]
        rows.append((f"{r['premise']} {ask}\n1. {r['choice1']}\n2. {r['choice2']}", f"The answer is {r['label'] + 1}."))
    return rows


def hellaswag(data):
    rows = bz2.decompress((data / "hellaswag/hellaswag_val_full.txt.bz2").read_bytes()).decode().splitlines()
    out = []
    for context, label, *endings in zip(*[iter(rows)] * 6, strict=True):
        out.append((lettered(context, endings, "{})"), f"{chr(65 + int(label))}) {endings[int(label)]}"))
    return out


def documentation(_):
    """Paragraphs and lists of the repository's English documentation with code, links or addresses."""
    rows = []
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            if re.search(r"`|https?://|\]\(", block) and not re.match(r"\s|[|#`<]", block) and len(block) < 1000:
                rows.append((block, f"See {path.name}."))
    return rows


SETS = {"GSM8K": gsm8k, "ARC": arc, "BoolQ": boolq, "COPA": copa, "OpenBookQA": adapters("openbookqa"), "PIQA": adapters("piqa"),
        "HellaSwag": hellaswag, "documentation": documentation}

DIGITS = {ord(c): str(i) for zero in "٠۰०" for i in range(10) for c in [chr(ord(zero) + i)]}
NUMBER = re.compile(r"\d+(?:[,٬]\d{3})+(?!\d)|\d+")
# What must come back letter for letter, in any order.
KEPT = {
    "code spans": re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.S),
    "addresses": re.compile(r"(?:https?://|www\.)[\w./#?=&%~+:-]*[\w/]|[\w.+-]+@[\w-]+\.[\w.]*\w"),
    "calculator notes": re.compile(r"<<[^<>]*>>"),
    "link targets": re.compile(r"\]\([^()\s]+\)"),
    "tags": re.compile(r"\[(?:header|step|substeps|title)\]"),
}
# What begins lines or follows blanks, in its order.
LABELS = {
    "option labels": re.compile(r"^[ \t]*(\([A-J]\)|[A-J][.)])(?=[ \t])", re.M),
    "numbered options": re.compile(r"\b(?:Answer|Solution)(\d)(?=:)|^[ \t]*(\d[.)])(?=[ \t])", re.M),
    "final answers": re.compile(r"^####.*$", re.M),
}


UNITS = [{form for word in words.split() for form in (word, word + "ه")} for words in (
    "", "واحد احد احدى حادي اول اولى", "اثنان اثنين اثنتان اثنتين اثنا اثني اثنتا اثنتي ثاني ثان", "ثلاث ثالث", "اربع رابع",
    "خمس خامس", "ست سادس", "سبع سابع", "ثمان ثماني ثامن", "تسع تاسع", "عشر عاشر")]
TENS = ["", "", "عشر"] + "ثلاث اربع خمس ست سبع ثمان تسع".split()
ENGLISH = ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
           "nineteen").split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
            "seventeenth eighteenth nineteenth").split()


def arabic_words(text):
    """Words without vowel signs and particles, and without ة and hamza's seats told apart."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).replace("ة", "ه")
    return {re.sub("^[وف]?[بلك]?(?:ال)?", "", w) for w in re.findall(r"\w+", text)} | set(re.findall(r"\w+", text))


def in_words(n, text):
    """Whether a text has the Arabic words of a number up to 99, of thousands, or the English words of one up to 99, of
    ordinals up to 19."""
    v, words = int(n), arabic_words(text)
    unit = lambda u: not words.isdisjoint(UNITS[u])
    ten = lambda t: any(TENS[t] + e in words for e in ("ون", "ين", "ينيات", "ينات"))
    if v and v % 1000 == 0 and re.search(rf"(?<!\d){v // 1000}\s+(?:ألف|آلاف|الف|الاف)", text.translate(DIGITS)):
        return True
    if v >= 1000 and v % 10 == 0 and v < 2100:
        v %= 100  # a decade
    if not 0 < v < 100:
        return False
    arabic = unit(v) if v <= 10 else unit(v % 10) and unit(10) if v < 20 else (
        ten(v // 10) and (v % 10 == 0 or unit(v % 10)))
    english = ENGLISH[v - 1] if v < 20 else ENGLISH_TENS[v // 10 - 2] + ("" if v % 10 == 0 else "-" + ENGLISH[v % 10 - 1])
    ordinal = rf"|{ORDINALS[v - 1]}" if v < 20 else ""
    return arabic or re.search(rf"\b(?:{english}{ordinal})\b", text.lower()) is not None


def numbers(text):
    found = NUMBER.findall(text.translate(DIGITS))
    return collections.Counter(re.sub("[,٬]", "", n) for n in found)


def lost_numbers(source, target, seen):
    """Whether a number of one text is neither in digits nor in words in the other."""
    want, got = numbers(source), numbers(target)
    seen["numbers"] += want.total()
    missing, extra = list((want - got).elements()), list((got - want).elements())
    seen["numbers in words"] += len(missing)
    return not (all(in_words(n, target) for n in missing) and all(in_words(n, source) for n in extra))


def losses(source, target, seen):
    """The kinds of things that a translation lost or invented. seen counts what the source has of each."""
    lost = []
    for name, rule in KEPT.items():
        want = collections.Counter(m[0] for m in rule.finditer(source))
        seen[name] += want.total()
        if want != collections.Counter(m[0] for m in rule.finditer(target)):
            lost.append(name)
    for name, rule in LABELS.items():
        want, got = ([next((g for g in m.groups() if g), m[0]) for m in rule.finditer(t)] for t in (source, target))
        seen[name] += len(want)
        if name == "numbered options" and want and not got:  # the word before the digit is translated
            got = re.findall(r"(?<=\s)\S+ ?(\d)(?=:)", target)
        if want != got:
            lost.append(name)
    return lost + ["numbers"] * lost_numbers(source, target, seen)


def choose(sets, data, count, seed):
    """Rows of all sets in equal parts; small sets give all they have, and the others more."""
    rng, pools, chosen = random.Random(seed), {}, []
    for name, rows in sets.items():
        pool = [(name, *r) for r in dict.fromkeys(rows(data))]
        rng.shuffle(pool)
        pools[name] = pool
    for left, name in zip(range(len(pools), 0, -1), sorted(pools, key=lambda n: len(pools[n]))):
        chosen += pools[name][:(count - len(chosen)) // left]
    return [{"set": name, "number": i, "question": q, "answer": a} for i, (name, q, a) in enumerate(chosen)]


def run(barka, *words):
    done = subprocess.run([str(w) for w in (barka, *words)], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"barka {' '.join(map(str, words))} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("barka", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="?")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--checks", default="default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=pathlib.Path, help="directory for input and output (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or pathlib.Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        raise SystemExit(check(args, work))


def check(args, work):
    sets = SETS if args.data else {"documentation": documentation}
    rows = choose(sets, args.data and args.data / "english", args.rows, args.seed)
    source, out = work / "rows.jsonl", work / "translated.jsonl"
    source.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    run(args.barka.absolute(), "translate", "--model", args.model, "--in", source, "--columns", ",".join(COLUMNS), "--out", out,
        "--checks", args.checks, "--memory", work / "memory.db", "--restart", "--quiet")
    kept = {r["number"]: r for r in load(out)}
    dropped = {}
    for line in run(args.barka.absolute(), "show", work / "translated", "--rejected", "--limit", "0", "--json").splitlines():
        row = json.loads(line)
        if "reason" in row:
            dropped[json.loads(row["row"])["number"]] = row["reason"]
    return report(rows, kept, dropped)


def report(rows, kept, dropped):
    tables, lost, seen = collections.defaultdict(collections.Counter), [], collections.Counter()
    for row in rows:
        n, name = row["number"], row["set"]
        if (n in kept) == (n in dropped) or n in dropped and not dropped[n]:
            lost.append((n, "the row", row["question"], ""))
        tables[name]["rows"] += 1
        tables[name]["kept"] += n in kept
        if n in dropped:
            tables[name][dropped[n]] += 1
        if n not in kept:
            continue
        for column in COLUMNS:
            if kept[n][column + "_source"] != row[column]:
                lost.append((n, "the source", row[column], kept[n][column + "_source"]))
            for what in losses(row[column], kept[n][column], seen):
                lost.append((n, what, row[column], kept[n][column]))
                tables[name]["lost"] += 1
    print("| set | rows | kept | dropped, by reason | kept rows that lost something |\n|---|---:|---:|---|---:|")
    for name, t in tables.items():
        reasons = ", ".join(f"{r} {n}" for r, n in t.most_common() if r not in ("rows", "kept", "lost"))
        print(f"| {name} | {t['rows']} | {t['kept']} | {reasons} | {t['lost']} |")
    print("\nin the kept rows: " + ", ".join(f"{n} {name}" for name, n in sorted(seen.items())))
    for n, what, before, after in lost[:20]:
        print(f"\nrow {n} lost {what}:\n{before}\n-> {after}")
    return int(bool(lost) or not kept)


if __name__ == "__main__":
    main()
