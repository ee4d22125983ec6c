"""The parallel text of the small translator: what it is trained on, what is held out, and how it is varied.

DATA/parallel holds TICO-19 (CC0: all.en-ar.tmx.zip and its two lists of terms) and NTREX-128
(CC-BY-SA 4.0: newstest2019-src.eng.txt and newstest2019-ref.arb.txt).
"""

import csv
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from demo_tokenizers import parallel  # noqa: E402

BLOCK, TEST, DEV = 10, 12, 48  # ten lines in a row stay together; one block of 12 is test, one of 48 is dev
WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]+|\d+")
MARK = "#{}#"  # the placeholder that barka chooses for a tokenizer that keeps it whole


def ascii_digits(s):
    """Digits of any script as ASCII: the sources disagree, and NLLB writes ASCII ones."""
    return re.sub(r"[^\W\D]", lambda m: m[0] if m[0].isascii() else str(int(m[0])), s)


def clean(pairs):
    return [(" ".join(en.split()), ascii_digits(" ".join(ar.split()))) for en, ar in pairs if en.strip() and ar.strip()]


def lines(path):
    return pathlib.Path(path).read_text(encoding="utf-8").splitlines()


def tico(data):
    return clean(parallel(data / "parallel/tico19/all.en-ar.tmx.zip"))


def ntrex(data):
    folder = data / "parallel/ntrex"
    return clean(zip(lines(folder / "newstest2019-src.eng.txt"), lines(folder / "newstest2019-ref.arb.txt"), strict=True))


def terms(data):
    rows = []
    for name in ("f_en-ar_AR.csv", "g_en_ar.csv"):
        with open(data / "parallel/tico19" / name, encoding="utf-8-sig", newline="") as f:
            rows += [(r["sourceString"], r["targetString"]) for r in csv.DictReader(f)]
    return clean(rows)


def others(english, arabic):
    """Two files of lines. With ARABIC.labels beside them, as Tatoeba's have, only lines in Modern Standard Arabic."""
    pairs = list(zip(lines(english), lines(arabic), strict=True))
    labels = pathlib.Path(f"{arabic}.labels")
    if labels.exists():
        pairs = [p for p, label in zip(pairs, lines(labels), strict=True) if label == "ara"]
    return clean(pairs)


def split(corpora, more):
    """(train, dev, test), each a list of (English, other). Parts of the corpora are held out, and more is for training. No text
    of dev and test is in train."""
    parts = {"train": [], "dev": [], "test": []}
    for pairs in corpora:
        for i, pair in enumerate(pairs):
            block = i // BLOCK
            parts["test" if block % TEST == 5 else "dev" if block % DEV == 11 else "train"].append(pair)
    for pairs in more:
        parts["train"] += pairs
    for name, known in (("dev", parts["test"]), ("train", parts["test"] + parts["dev"])):
        texts = {side for pair in known for side in pair}
        parts[name] = [p for p in parts[name] if not texts & set(p)]
    return parts["train"], parts["dev"], parts["test"]


def shared(en, ar):
    """Words and numbers that stand once in both texts."""
    left, right = WORD.findall(en), WORD.findall(ar)
    return [w for w in dict.fromkeys(left) if left.count(w) == right.count(w) == 1]


def put(text, values):
    """The text with some of its words and numbers replaced."""
    return WORD.sub(lambda m: values.get(m[0], m[0]), text)


NAMES = dict(Tom="توم", Sara="سارة", John="جون", Mary="ماري", James="جيمس", Janet="جانيت", Sami="سامي", Emily="إيميلي", David="ديفيد")
THINGS = dict(apples="التفاح", eggs="البيض", books="الكتب", cookies="البسكويت", pencils="الأقلام", cars="السيارات", cats="القطط",
              flowers="الزهور", students="الطلاب", toys="الألعاب", balls="الكرات", chickens="الدجاج", boxes="الصناديق",
              oranges="البرتقال", people="الناس", cards="البطاقات", bottles="الزجاجات", hours="الساعات", dollars="الدولارات")


def sums(rng, count):
    """Made sentences with numbers: the model must copy digits, and the parallel text has few."""
    templates = [l.split("\t") for l in lines(pathlib.Path(__file__).with_name("sums.tsv")) if not l.startswith("#")]
    rows = []
    for _ in range(count):
        a, b, c = (str(rng.randrange(rng.choice([10, 100, 100, 1000]))) for _ in range(3))
        e = rng.choice([f"{a} {rng.choice('+-*/')} {b} = {c}", a, MARK.format(1), MARK.format(1)])
        name, thing = rng.choice(list(NAMES)), rng.choice(list(THINGS))
        english, arabic = rng.choice(templates)
        numbers = {"a": a, "b": b, "c": c, "e": e}
        rows.append((english.format(n=name, t=thing, **numbers), arabic.format(n=NAMES[name], t=THINGS[thing], **numbers)))
    return rows


def vary(rng, en, ar):
    """Now and then other numbers, placeholders or small letters, so that the model learns to copy what it must."""
    numbers = [w for w in shared(en, ar) if w.isdigit() and w != "19"]
    if numbers and rng.random() < 0.6:
        new = {n: str(rng.randrange(10 ** (len(n) - 1), 10 ** len(n))) for n in numbers}
        en, ar = put(en, new), put(ar, new)
    draw, both = rng.random(), shared(en, ar)
    if draw < 0.15 and both:
        marked = {w: MARK.format(i + 1) for i, w in enumerate(rng.sample(both, min(len(both), rng.choice([1, 1, 2, 3]))))}
        en, ar = put(en, marked), put(ar, marked)
    elif draw < 0.25:
        a, b = MARK.format(1), MARK.format(2)
        form = rng.choice([a + "{}" + b, a + " {}", "{} " + a, a + "{}"])
        en, ar = form.format(en.replace("{", "")), form.format(ar.replace("{", ""))
    elif draw < 0.3:
        en = en.lower()
    return en, ar
