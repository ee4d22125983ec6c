"""Compares conversions of `barka convert` with their sources, with readers of its own; run by .ci/run.

    python reference/data/check_conversions.py BARKA [SHARED]

Converts the rows in internal/stage/convert/testdata/in, and those of SHARED/data/english (genuine
rows, which are not distributed with the repository), with drawn templates, with the first
one, and with few-shot examples. Of each row: passage and question stand in the user's message
letter for letter and digit for digit; all options stand there, a line each, in the source's
order; the answer names the right option and no other, or says yes as the source does, or ends
in the source's number. Each source row has become a row or is among the rejected.
"""

import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

import pyarrow.parquet as pq

OWN = pathlib.Path(__file__).parents[2] / "internal/stage/convert/testdata/in"
MARKS = re.compile(r"\[(?:header|step|substeps|title)\]")
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth"]


def flat(s):
    return "".join(c for c in s.lower() if c.isalnum())


def line(s):
    """An option as convert cleans it: blanks, gaps and blanks before marks."""
    s = " ".join(s.split())
    s = re.sub(r"(?<!\w)_(?: ?_)*(?!\{)|_(?: ?_)*(?![\w{])", "____", s) if "_" in s else s
    return re.sub(r"(?<=[\w\"'’”)]) ([.,;?!])(?=\s|$)", r"\1", s)


def read(path):
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(l) for l in text.splitlines() if l.strip()]
    value = json.loads(text)
    return value if isinstance(value, list) else [value]


def item(texts, options=None, right=None, verdict=None, number=None, ordered=True):
    return {"texts": [t or "" for t in texts], "options": options, "right": right, "verdict": verdict, "number": number,
            "ordered": ordered}


def arc(row):
    q = row["question"] if isinstance(row["question"], dict) else row
    choices = q["choices"]
    if isinstance(choices, dict):
        choices = [{"text": t, "label": l} for t, l in zip(choices["text"], choices["label"])]
    labels = [c["label"] for c in choices]
    key = row.get("answerKey")
    stem = q.get("stem") or q.get("question_stem") or q.get("question") or ""
    return [item([stem], [c["text"] for c in choices], labels.index(key) if key in labels else None)]


def race(row):
    if "questions" not in row:
        return [item([row["article"], row["question"]], row["options"], "ABCDE".find(row["answer"]))]
    answers = row["answers"] + [""] * len(row["questions"])
    options = row["options"] + [[]] * len(row["questions"])
    return [item([row["article"], q], options[i], "ABCDE".find(answers[i]) if answers[i] else None)
            for i, q in enumerate(row["questions"])]


def boolq(row):
    passage = row["passage"]
    head, mark, rest = passage.partition(" -- ")
    if mark and "title" not in row and len(head) < 100:
        passage = rest
    return [item([passage, row["question"]], verdict=row.get("answer", row.get("label")))]


def toxigen(row):
    text = row["text"]
    if re.fullmatch(r"b'.*'|b\".*\"", text):
        text = eval(text, {"__builtins__": {}}).decode()  # a literal of bytes
    a, b = row["toxicity_ai"], row["toxicity_human"]
    return [item([text], verdict=None if a is None or b is None else a + b > 5.5)]


def boolean(v):
    return {"true": True, "false": False}.get(str(v).lower())


def mmlu(row):
    row = row.get("train", row)
    return [item([row["question"]], row["choices"], row["answer"])]


def gsm8k(row):
    return [item([row["question"]], number=row["answer"].partition("####")[2].strip() or None)]


ITEMS = {
    "boolq": boolq, "race": race, "arc-challenge": arc, "arc-easy": arc, "openbookqa": arc, "toxigen": toxigen,
    "mmlu-auxiliary": mmlu, "gsm8k": gsm8k,
    "copa": lambda r: [item([r["premise"]], [r["choice1"], r["choice2"]], r.get("label"))],
    "piqa": lambda r: [item([r["goal"]], [r["sol1"], r["sol2"]], r.get("label"))],
    "sciq": lambda r: [item([r["support"], r["question"]],
                            [r["correct_answer"], r["distractor1"], r["distractor2"], r["distractor3"]], 0, ordered=False)],
    "hellaswag": lambda r: [item([MARKS.sub(" ", r["ctx"] if "ctx" in r else r["ctx_a"] + " " + r["ctx_b"])],
                                 [MARKS.sub(" ", e).lstrip(" ,") for e in r["endings"]], r.get("label"))],
    "statements": lambda r: [item([r["statement"]], verdict=boolean(r["answer"]))],
}


def numbered(message, options):
    """The lines of a message that are the options in order, as indices of lines; None if there are none."""
    lines = [re.sub(r"^(?:\d{1,2}[.)]|[A-J][.)]|-) ", "", l) for l in message.split("\n")]
    for at in range(len(lines) - len(options), -1, -1):
        if lines[at:at + len(options)] == options:
            return at
    return None


def check_choice(it, user, reply):
    options = [line(o) for o in it["options"]]
    right = options[int(it["right"])]
    if not it["ordered"]:  # the order is the seed's: read it from the message
        lines = [re.sub(r"^(?:\d{1,2}[.)]|[A-J][.)]|-) ", "", l) for l in user.split("\n")]
        where = sorted((max(i for i, l in enumerate(lines) if l == o), o) for o in options)
        options = [o for _, o in where]
    at = numbered(user, options)
    assert at is not None, ("options are not in order", options)
    block = user.split("\n")[at:at + len(options)]
    gold = options.index(right)
    for i, l in enumerate(block):
        mark = l[:len(l) - len(options[i])].strip()
        assert mark in ("-", f"{i + 1}.", f"{i + 1})", f"{chr(65 + i)}.", f"{chr(65 + i)})"), ("mark", l)
    named = set()
    for l in reply.split("\n"):
        l = l.strip()
        bare = re.sub(r"^(?:\d{1,2}[.)]|[A-J][.)]) ", "", l)
        m = re.match(r"The (\w+) option\b", l)
        if m:
            named.add(ORDINALS.index(m[1]))
        elif bare == right:
            mark = l[:len(l) - len(bare)].strip(" .)")
            assert mark in ("", str(gold + 1), chr(65 + gold)), ("the answer's mark", l)
            named.add(gold)
        elif bare in options:
            named.add(options.index(bare))
        elif re.fullmatch(r"\d{1,2}", l):
            named.add(int(l) - 1)
    assert named == {gold}, ("the answer names", named, "the right one is", gold)


def check_verdict(it, reply):
    yes = re.match(r"(?:1[.)] |The answer is )?(?:yes|true|toxic)\b", reply, re.I) is not None
    no = re.match(r"(?:2[.)] |The answer is )?(?:no|false|harmless)\b", reply, re.I) is not None
    assert yes != no and yes == bool(it["verdict"]), ("the verdict is", it["verdict"])


def usable(it):
    if not all(flat(t) for t in it["texts"][-1:]):
        return False
    if it["options"] is not None:
        options = [line(o) for o in it["options"]]
        labelled = re.fullmatch(r"\d+", str(it["right"])) and int(it["right"]) < len(options)
        return labelled and len(options) > 1 and len(set(options)) == len(options) and all(options)
    return it["verdict"] is not None or it["number"] is not None


def check(it, user, reply):
    for text in it["texts"]:
        assert flat(text) in flat(user), ("text", text)
        numbers = iter(re.findall(r"\d+", user))
        assert all(n in numbers for n in re.findall(r"\d+", text)) or it["options"], ("numbers", text)
    if it["options"] is not None:
        check_choice(it, user, reply)
    elif it["verdict"] is not None:
        check_verdict(it, reply)
    else:
        assert re.findall(r"-?[\d.,]*\d", reply)[-1] == it["number"].rstrip("."), ("number", it["number"])


INSIDE = {"boolq": ["BoolQ"], "copa": ["COPA"], "arc-easy": ["ARC-Easy"], "arc-challenge": ["ARC-Challenge"],
          "openbookqa": ["Additional", "Main"]}


def sources(name, path, split):
    """The source's files of a split, in order of their paths."""
    if path.is_file():
        return [path]
    words = {"train": {"train"}, "validation": {"dev", "val", "valid", "validation"}, "test": {"test"}}[split]
    files = [p for p in sorted(path.rglob("*")) if p.is_file() and p.suffix in (".jsonl", ".json", ".txt", ".csv")
             and not any(part.startswith((".", "__")) for part in p.relative_to(path).parts)]
    files = [p for p in files if any(words & set(re.split(r"[^a-z]+", part.lower())) and "train-dev" not in part
                                     for part in p.relative_to(path).parts)]
    for directory in INSIDE.get(name, []):
        if inside := [p for p in files if directory in p.parts]:
            return inside
    return files


def compare(barka, name, path, split, work, flags):
    out = work / "out"
    subprocess.run([barka, "convert", name, "--data", str(path), "--split", split, "--out", str(out), "--quiet",
                    "--restart", *flags], check=True)
    manifest = json.loads((out / "manifest.json").read_text())
    rows = [r for f in sorted(out.glob("part-*.parquet")) for r in pq.read_table(f).to_pylist()]
    assert len(rows) == manifest["rows"]
    items = []
    for f in sources(name, path, split):
        read_rows = read(f)
        labels = f.with_name(f.name.replace(".jsonl", "-labels.lst"))
        if name == "piqa" and labels.exists():
            for r, l in zip(read_rows, labels.read_text().split(), strict=True):
                r["label"] = int(l)
        for r in read_rows:
            items += ITEMS[name](r)
    at, passed = 0, 0
    texts = {r["id"]: r["messages"][0]["content"] for r in rows}
    for r in rows:
        user, reply = (m["content"] for m in r["messages"])
        if r["examples"]:
            assert r["id"] not in r["examples"] and set(r["examples"]) <= set(texts) and len(r["examples"]) in (1, 3, 5)
        for it in items[at:]:
            at += 1
            if usable(it) and flat(it["texts"][-1]) in flat(user) and (
                    it["options"] is None or all(flat(line(o)) in flat(user) for o in it["options"])):
                break
            passed += 1
        else:
            raise AssertionError(("no source for the row", r["id"], user))
        try:
            check(it, user, reply)
        except (AssertionError, IndexError, ValueError) as e:
            raise AssertionError(f"{path} {r['id']} {r['template']}: {e}\n{user}\n=> {reply}") from e
    passed += len(items) - at
    assert passed == manifest["counts"]["rejected"], (path, "without a row", passed, "rejected", manifest["counts"])
    return len(rows), passed


def unpack(path, to):
    with zipfile.ZipFile(path) as z:
        z.extractall(to)
    return to


def main():
    barka = sys.argv[1]
    sets = [(n, OWN / f, "train") for n, f in {
        "boolq": "boolq.jsonl", "race": "race", "copa": "copa.jsonl", "hellaswag": "hellaswag.jsonl", "sciq": "sciq.json",
        "arc-challenge": "arc-challenge.jsonl", "arc-easy": "arc-easy.jsonl", "openbookqa": "openbookqa.jsonl", "piqa": "piqa",
        "gsm8k": "gsm8k.jsonl", "toxigen": "toxigen.jsonl", "mmlu-auxiliary": "mmlu.jsonl", "statements": "statements.jsonl"}.items()]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        if len(sys.argv) > 2:
            english = pathlib.Path(sys.argv[2]) / "data/english"
            sets += [("boolq", english / "boolq/fewglue_train_32.jsonl", "train"), ("copa", english / "copa/train.jsonl", "train"),
                     ("copa", english / "copa/val.jsonl", "train"), ("gsm8k", english / "gsm8k/train.jsonl", "train"),
                     ("gsm8k", english / "gsm8k/test.jsonl", "train")]
            for name, file, split in [
                    ("boolq", "boolq_dummy_0.1.0", "train"), ("boolq", "super_glue_dummy_boolq_1.0.2", "train"),
                    ("copa", "super_glue_copa", "train"), ("hellaswag", "hellaswag_dummy_0.1.0", "train"),
                    ("race", "race_dummy_all_0.1.0", "train"), ("race", "race_dummy_all_0.1.0", "validation"),
                    ("race", "race_dummy_all_0.1.0", "test"), ("race", "race_dummy_middle_0.1.0", "train"),
                    ("race", "race_dummy_high_0.1.0", "validation"), ("sciq", "sciq_dummy_0.1.0", "train"),
                    ("sciq", "sciq_dummy_0.1.0", "validation"), ("arc-challenge", "ai2_arc_dummy_ARC-Challenge_1.0.0", "train"),
                    ("arc-easy", "ai2_arc_dummy_ARC-Easy_1.0.0", "train"), ("openbookqa", "openbookqa_dummy_main_1.0.1", "train"),
                    ("piqa", "piqa_dummy_plain_text_1.1.0", "train")]:
                sets.append((name, unpack(english / "hf-dummy" / (file + ".zip"), tmp / file), split))
        total, refused = 0, 0
        for flags in (["--seed", "1"], ["--seed", "2"], ["--first-template"], ["--few-shot", "0.5", "--seed", "3"]):
            for name, path, split in sets:
                rows, rejected = compare(barka, name, path, split, tmp, flags)
                total, refused = total + rows, refused + rejected
        print(f"{total} rows of {len(sets)} sources in four layouts are equal to their sources; {refused} were rejected")


if __name__ == "__main__":
    main()
