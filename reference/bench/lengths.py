"""Prints the lengths of the questions of `barka bench choice` (internal/bench/inputs.go), from the benchmarks' texts.

    python reference/bench/lengths.py --tokenizer FILE --data DATA --subjects TSV --hellaswag FILE --arabic FILE --english FILE

The tokenizer is Gemma's tokenizer.json. DATA holds AceGPT's MMLUArabic/test. TSV has the Arabic names of its subjects (subset,
tab, name). HellaSwag's validation set has six lines per question (context, answer, four endings), packed with bzip2. The parallel
texts are NTREX's. For each benchmark the script prints sixteen questions that divide it into parts of equal size, and the longest
request of each quarter.
"""

import argparse
import bz2
import csv
import pathlib

from tokenizers import Tokenizer

LETTERS = "أ ب ج د".split()
HELLASWAG = "بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية\n" \
    "    السياق:\n    \n    الاقتراحات:\n\n    0) \n1) \n2) \n3) \nالإجابة:"


def mmlu(count, args):
    """The tokens of every prompt, subject by subject; each has four choices of one token."""
    names = dict(line.split("\t")[:2] for line in pathlib.Path(args.subjects).read_text("utf-8").splitlines())
    for path in sorted(pathlib.Path(args.data, "MMLUArabic/test").glob("*.csv")):
        subject = names[path.name.removesuffix("_test.csv")].replace("_", " ")
        with path.open(encoding="utf-8", newline="") as rows:
            yield [
                (count(f"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول {subject}. \n\n{row[0]}\n"
                       + "".join(f"{letter}. {choice}\n" for letter, choice in zip(LETTERS, row[1:5])) + "الإجابة:") + 1, [1] * 4)
                for row in csv.reader(rows)
            ]  # fmt: skip


def hellaswag(count, args):
    """The tokens of every prompt and ending in English, times what Arabic has of them."""
    arabic, english = (sum(map(count, pathlib.Path(p).read_text("utf-8").split("\n"))) for p in (args.arabic, args.english))
    scaled = lambda text: round(arabic / english * count(text))
    around = count(HELLASWAG) + 1
    lines = bz2.open(args.hellaswag, "rt", encoding="utf-8").read().split("\n")
    for i in range(0, len(lines) - 5, 6):
        endings = [max(1, scaled(e)) for e in lines[i + 2:i + 6]]
        yield around + scaled(lines[i]) + sum(endings), endings


def show(name, sample, every):
    sample.sort(key=lambda q: q[0])
    print(name, [sample[int((i + 0.5) / 16 * len(sample))] for i in range(16)])
    requests = sorted((prompt + choice - 1 for prompt, choices in every for choice in choices), reverse=True)
    print("longest of each quarter", requests[::len(requests) // 4 + 1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tokenizer", "data", "subjects", "hellaswag", "arabic", "english"):
        p.add_argument("--" + name, required=True)
    args = p.parse_args()
    tokenizer = Tokenizer.from_file(args.tokenizer)
    count = lambda text: len(tokenizer.encode(text).ids)
    subjects = list(mmlu(count, args))
    show("mmlu", [q for rows in subjects for q in rows[::7]], [q for rows in subjects for q in rows])
    questions = list(hellaswag(count, args))
    show("hellaswag", questions[::7], questions)


main()
