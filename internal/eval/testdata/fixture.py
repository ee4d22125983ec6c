"""Writes the benchmark fixture of this directory and the digests it must give.

All rows are made up for these tests. Prompts, order, tokens (a token is a
character, after a beginning token), cuts and padding are worked out here a
second time, in Python, from the specification, so that the Go code is
compared with something that shares none of it.

    python -m venv v && v/bin/pip install xxhash==4.1.0 && v/bin/python fixture.py
"""

import csv
import json
import pathlib
import random
import re

import xxhash

HERE = pathlib.Path(__file__).parent
NATIVE = "OALL/AlGhafa-Arabic-LLM-Benchmark-Native"
TRANSLATED = "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated"
LATIN, ARABIC, FIVE = "ABCD", "أبجد", ["أ", "ب", "ج", "د", "هـ"]
CHOOSE = "السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة"
MCQ = "الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح"
SHUFFLED = []
COLOURS = ["أحمر", "أزرق", "أخضر", "أصفر", "بني"]


def listed(choices):
    return "".join(f"{i}) {c}\n" for i, c in enumerate(choices))


def mmlu(r):
    return f"{MCQ} حول {r['subject'].replace('_', ' ')}. \n\n{r['question']}\n" + "".join(
        f"{a}. {r[l]}\n" for a, l in zip(ARABIC, LATIN)) + "الإجابة:"


def exams(r):
    return f"{MCQ} حول {r['subject'].replace('_', ' ')}. \n\nالسؤال: {r['question']}\n" + "\n".join(
        f" {a}) {r[l]}\n" for a, l in zip(ARABIC, LATIN)) + "\nالإجابة:"


def acva(r):
    return f"السؤال: {r['question']}\nالإجابة:"


def options(r):
    return f"{MCQ}\n\nالسؤال: {r['query']}\n{listed(v for k, v in r.items() if k.startswith('sol'))}الإجابة:"


def boolq(r):
    return ("بناء على المقطع التالي، أجب عن السؤال ب نعم أو لا\n"
            f"    المقطع :\n    {r['passage']}\n    السؤال:\n    {r['question']}\n    الإجابة:\n    ")


def copa(r):
    word = {"cause": "لأن", "effect": "لذلك"}[r["question"]]
    return f"{r['premise']}، {word} :\n{listed([r['choice1'], r['choice2']])}الإجابة:"


def hellaswag(r):
    clean = lambda s: re.sub(r"\[.*?\]", "", s)
    return ("بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية\n"
            f"    السياق:\n    {clean(r['ctx'])}\n"
            f"    الاقتراحات:\n\n    {listed(clean(e) for e in eval(r['endings']))}الإجابة:")


def toxigen(r):
    return f"هل العبارة التالية تحض على الكراهية؟ قم بالرد بـ\"نعم\" أو \"لا\".\n    العبارة:\n    '{r['text']}'\n    الإجابة:\n    "


def sciq(r):
    choices = [r["distractor1"], r["distractor2"], r["distractor3"], r["correct_answer"]]
    RANDOM.shuffle(choices)
    SHUFFLED[:] = choices
    return ("بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات\n"
            f"    السياق:\n    {r['support']}\n    السؤال:\n    {r['question']}\n"
            f"    الإجابات المحتملة:\n\n    {listed(choices)}الإجابة:")


def labelled(r):
    """The options of a row that are there, as lines, and their letters."""
    there = [(a, r[f"Option {i}"]) for i, a in enumerate(FIVE, 1) if r.get(f"Option {i}")]
    return "".join(f"{a}. {o}\n" for a, o in there), [a for a, _ in there]


def native(r):
    return f"{CHOOSE}:\n\n{r['Question']}\n{labelled(r)[0]}الإجابة:"


def human(r):
    return f"{CHOOSE}:\n\n{r['question']}\n" + "".join(f"{i}. {c}\n" for i, c in enumerate(r["choices"], 1)) + "الإجابة:"


def trust(r):
    return f"{CHOOSE}: أ، ب أو ج. \n\n{r['Question']}\n{r['A']}\n{r['B']}\n{r['C']}\nالإجابة:"


def madinah(r):
    return ("بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الأجوبة:\n\n\n"
            f"السياق:\n{r['Context'] or None}\nالسؤال:\n{r['Question']}\n{labelled(r)[0]}الإجابة:")


def indexed(r):
    return options(r)


def story(r):
    return " ".join(r[f"input_sentence_{i}"] for i in (1, 2, 3, 4))


CHOICES = {
    mmlu: lambda r: list(ARABIC), exams: lambda r: list(ARABIC), acva: lambda r: ["صح", "خطأ"],
    options: lambda r: [v for k, v in r.items() if k.startswith("sol")],
    boolq: lambda r: ["نعم", "لا"], copa: lambda r: [r["choice1"], r["choice2"]],
    hellaswag: lambda r: [re.sub(r"\[.*?\]", "", e) for e in eval(r["endings"])],
    toxigen: lambda r: ["لا", "نعم"], sciq: lambda r: SHUFFLED,
    native: lambda r: labelled(r)[1], madinah: lambda r: labelled(r)[1], trust: lambda r: list("أبج"),
    human: lambda r: [str(i) for i in range(1, len(r["choices"]) + 1)],
    indexed: lambda r: [str(i) for i, _ in enumerate(CHOICES[options](r))],
    story: lambda r: [" " + r["sentence_quiz1"], " " + r["sentence_quiz2"]],
}


def question(n, what="ما لون الشيء رقم"):
    return f"{what} {n}؟"


def mcq_rows(n, subject):
    for i in range(n):
        yield {"question": question(i), **{l: COLOURS[(i + j) % 5] for j, l in enumerate(LATIN)},
               "answer": LATIN[i * 3 % 4], "subject": subject}


def sol_rows(n, k):
    for i in range(n):
        yield {"query": question(i),
               **{f"sol{j + 1}": COLOURS[(i + j) % 5] + " " * (j % 2) + "جدا" * j for j in range(k)},
               "label": str(i * 7 % k)}


def files():
    """Yields key, repo, file, rows, prompt function of each split."""
    for subset, n in (("abstract_algebra", 5), ("anatomy", 4)):
        yield f"community|arabic_mmlu:{subset}", "OALL/Arabic_MMLU", f"{subset}/test.csv", list(mcq_rows(n, "علم_" + subset)), mmlu
        yield None, "OALL/Arabic_MMLU", f"{subset}/dev.csv", list(mcq_rows(7, "علم_" + subset))[5:], mmlu
    yield "community|arabic_exams", "OALL/Arabic_EXAMS", "data/test.jsonl", list(mcq_rows(3, "العلوم")), exams
    for subset in ("Iraq", "Yemen"):
        rows = [{"id": f"{subset}-{i}", "question": f"الجملة {i}.", "answer": "صح" if i % 3 else "خطأ"} for i in range(6)]
        yield f"community|acva:{subset}", "OALL/ACVA", f"{subset}/test.jsonl", rows[:5], acva
        yield None, "OALL/ACVA", f"{subset}/validation.jsonl", rows[5:], acva
    yield "community|alghafa:meta_ar_msa", NATIVE, "data/meta_ar_msa/test.csv", list(sol_rows(4, 4)), options
    soqal = "multiple_choice_grounded_statement_soqal_task"
    yield f"community|alghafa:{soqal}", NATIVE, f"data/{soqal}/test.csv", list(sol_rows(3, 5)), options
    yield "community|piqa_ar", TRANSLATED, "piqa_ar/test.json", list(sol_rows(4, 2)), options
    yield "community|boolq_ar", TRANSLATED, "boolq_ar/test.jsonl", [
        {"question": question(i), "passage": f"نص {i}\nسطر", "answer": i % 2 == 0} for i in range(4)], boolq
    yield "community|copa_ext_ar", TRANSLATED, "copa_ext_ar/test.csv", [
        {"premise": f"حدث {i}", "choice1": "أ" * (i + 1), "choice2": "ب ب", "question": ["cause", "effect"][i % 2],
         "label": i % 2} for i in range(3)], copa
    yield "community|hellaswag_okapi_ar", TRANSLATED, "hellaswag_okapi_ar/test.jsonl", [
        {"ctx": f"[عنوان] نص {i} [خطوة] ثم",
         "endings": repr([f"نهاية {j} 'x'" if j else 'قال "نعم" [كذا]' for j in range(4)]),
         "label": str(i % 4)} for i in range(4)], hellaswag
    yield "community|toxigen_ar", TRANSLATED, "toxigen_ar/test.jsonl", [
        {"text": f"عبارة {i}", "toxicity_ai": i + 0.5, "toxicity_human": 3.0} for i in range(4)], toxigen
    yield "community|sciq_ar", TRANSLATED, "sciq_ar/test.jsonl", [
        {"question": question(i), "distractor1": "و", "distractor2": "ز ز", "distractor3": "ح",
         "correct_answer": "ط ط ط", "support": f"نص {i}"} for i in range(5)], sciq
    stories = [
        {"story_id": str(i), **{f"input_sentence_{j}": f"جملة {i}{j}." for j in (1, 2, 3, 4)},
         "sentence_quiz1": "نهاية.", "sentence_quiz2": "نهاية أخرى.", "answer_right_ending": 1 + i % 2} for i in range(9)]
    yield "lighteval|xstory_cloze:ar", "juletxara/xstory_cloze", "ar/eval.jsonl", stories[:4], story
    yield None, "juletxara/xstory_cloze", "ar/train.jsonl", stories[4:], story


def optional_rows(n, **more):
    for i in range(n):
        chosen = {f"Option {j + 1}": "" if (i + j) % 4 == 3 else COLOURS[(i + j) % 5] for j in range(5)}
        key = next(l for l in "EDCBA"[i:] if chosen[f"Option {'ABCDE'.index(l) + 1}"])
        yield {**more, "Question": question(i), "Answer Key": key, **chosen}


def files_v2():
    """Yields the same of version 2; AlGhafa and EXAMS have the files of version 1."""
    for key, repo, name, rows, prompt in files():
        if key and (repo == NATIVE or repo == "OALL/Arabic_EXAMS"):
            yield key, repo, name, rows, indexed if prompt is options else prompt
    yield "community|arabic_mmlu:Driving Test", "MBZUAI/ArabicMMLU", "Driving Test/test.csv", list(optional_rows(5)), native
    studies = "Islamic Studies (High School)"
    yield f"community|arabic_mmlu:{studies}", "MBZUAI/ArabicMMLU", f"{studies}/test.csv", list(optional_rows(3)), native
    yield None, "MBZUAI/ArabicMMLU", f"{studies}/dev.csv", list(optional_rows(5))[3:], native
    for subset, n in (("anatomy", 4), ("virology", 3)):
        yield f"community|arabic_mmlu_ht:{subset}", "MBZUAI/human_translated_arabic_mmlu", f"{subset}/test.jsonl", [
            {"question": question(i), "choices": COLOURS[i % 2:][:4], "answer": i % 4} for i in range(n)], human
    for field, n, context in (("General", 3, "نص\nسطر"), ("Grammar", 4, "")):
        subset = f"Arabic Language ({field})"
        rows = list(optional_rows(n, Context=context))
        yield f"community|madinah_qa:{subset}", "MBZUAI/MadinahQA", f"{subset}/test.csv", rows, madinah
    yield "community|aratrust:Ethics", "asas-ai/AraTrust-categorized", "Ethics/train.jsonl", [
        {"Question": question(i), **{l: f"{a}) {COLOURS[i + j]}" for j, (l, a) in enumerate(zip("ABC", "أبج"))},
         "Answer": "أبج"[i]} for i in range(3)], trust
    yield None, "OALL/ALRAGE", "data/train.jsonl", [
        {"id": i, "question": question(i), "candidates": f"نص أول\n\n نص {i} ", "gold_answer": COLOURS[i]}
        for i in range(5)], None


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as f:
        if path.suffix == ".csv":
            w = csv.DictWriter(f, rows[0], lineterminator="\n")
            w.writeheader()
            w.writerows(rows)
        elif path.suffix == ".json":
            json.dump(rows, f, ensure_ascii=False, indent=1)
        else:
            f.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)


BATCH, LONGEST, END, BEGIN = 2, 160, 1, 2


def digest(text):
    return xxhash.xxh64(text.encode()).hexdigest()


def encode(text):
    return [BEGIN] + [ord(c) for c in text]


def paddings(requests):
    """Gives each request its padded input and continuation, what was cut and what was added."""
    order = sorted(range(len(requests)), key=lambda i: -len(requests[i][0] + requests[i][1]))
    size = len(order) // 4 + 1
    out = {}
    for part in (order[i:i + size] for i in range(0, len(order), size)):
        context, continuation = requests[part[0]]
        width = len((context + continuation)[-(LONGEST + 1):][:-1])
        for rows in (part[i:i + BATCH] for i in range(0, len(part), BATCH)):
            inputs = [(requests[i][0] + requests[i][1][:-1]) for i in rows]
            kept = [x[-width:] for x in inputs]
            scored = [requests[i][1][:len(k)] if len(requests[i][1]) > len(k) else requests[i][1] for i, k in zip(rows, kept)]
            widest = max(map(len, scored))
            for i, x, k, c in zip(rows, inputs, kept, scored):
                out[i] = (k + [END] * (width - len(k)), c + [END] * (widest - len(c)), len(x) - len(k), width - len(k))
    return out


def main(files, out):
    requests, tasks = [], {}
    for key, repo, name, rows, prompt in files():
        write(HERE / "hub" / repo / name, rows)
        global RANDOM
        RANDOM = random.Random(1234)
        if key:
            tasks[key] = [(prompt(r), list(CHOICES[prompt](r))) for r in rows]
    where = {}
    for key in sorted(tasks):
        random.Random(42).shuffle(tasks[key])
        for n, (query, choices) in enumerate(tasks[key]):
            kept = query.rstrip()
            where[key, n] = range(len(requests), len(requests) + len(choices))
            for c in choices:
                whole, context = encode(query + c), encode(kept)
                requests.append((context, whole[len(context):]))
    padded = paddings(requests)
    with open(HERE / out, "w", encoding="utf-8") as f:
        f.write("task\tquestions\tprompts\tinput_tokens\tcont_tokens\ttruncated\tpadded\n")
        for key in tasks:
            asked = [[padded[i] for i in where[key, n]] for n in range(len(tasks[key]))]
            columns = [
                [digest(q) for q, _ in tasks[key]],
                [digest(str([p[0] for p in ps])) for ps in asked],
                [digest(str([p[1] for p in ps])) for ps in asked],
            ]
            cut, added = (sum(p[i] > 0 for ps in asked for p in ps) for i in (2, 3))
            f.write("\t".join([key, str(len(asked))] + [digest("".join(sorted(c))) for c in columns] + [str(cut), str(added)]) + "\n")


main(files, "digests.tsv")
main(files_v2, "digests_v2.tsv")
