"""Replaces `datasets.load_dataset`: returns a dataset of the hub from files in a directory.

The directory is one that `barka eval --data` reads. `fill` adds synthetic rows
in the hub's layout for tasks without rows.
"""

import json
import pathlib

import datasets

KINDS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
SPLITS = {"train": "train", "test": "test", "dev": "dev", "validation": "validation", "eval": "eval"}


class Hub:
    def __init__(self, root, cache):
        self.root, self.cache = pathlib.Path(root), cache

    def files(self, repo, subset):
        """Maps splits to files: SUBSET/SPLIT.EXT, data/SUBSET/SPLIT.EXT, or, for the default subset, data/SPLIT.EXT."""
        below = [self.root / repo / subset, self.root / repo / "data" / subset]
        if subset in (None, "default"):
            below = [self.root / repo, self.root / repo / "data", self.root / repo / "default"]
        found = {}
        for directory in below:
            for path in sorted(directory.glob("*")):
                split = SPLITS.get(path.name.split("-")[0].split(".")[0])
                if split and path.suffix in KINDS:
                    found.setdefault(split, []).append(path)
        return found

    def load(self, path=None, name=None, **_):
        files = self.files(path, name)
        if not files:
            raise FileNotFoundError(f"{self.root}: nothing of {path}, {name}")
        out = {}
        for split, paths in files.items():
            kind = KINDS[paths[0].suffix]
            made = datasets.load_dataset(kind, data_files=[str(p) for p in paths], split="train", cache_dir=self.cache)
            # lighteval 0.3.0 declares a "training" split of xstory_cloze, which the hub calls "train".
            out["training" if path.endswith("xstory_cloze") and split == "train" else split] = made
        return datasets.DatasetDict(out)


NOUNS = "البحر الجبل النهر الكتاب المدينة الشجرة القمر السوق الطريق البيت".split()
ADJECTIVES = "الكبير القديم الجديد البعيد الجميل الهادئ".split()


def phrase(i):
    return f"{NOUNS[i * 7 % 10]} {ADJECTIVES[i * 5 % 6]}"


def options(rows, n, longer=1):
    return [
        {"query": f"{phrase(i)} {'، '.join([phrase(i + j) for j in range(longer)])}؟",
         **{f"sol{j + 1}": phrase(3 * i + j) if j % 3 else phrase(i + j) + " و" + phrase(i + 2 * j) for j in range(n)},
         "label": str(i * 7 % n)}
        for i in range(rows)
    ]  # fmt: skip


def made_up(rows):
    """Yields path and rows of each split of the 21 tasks without a public copy."""
    native, translated = "OALL/AlGhafa-Arabic-LLM-Benchmark-Native/data/", "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/"
    for subset, n in {
        "mcq_exams_test_ar": 4, "meta_ar_dialects": 4, "meta_ar_msa": 4, "multiple_choice_facts_truefalse_balanced_task": 2,
        "multiple_choice_grounded_statement_soqal_task": 5, "multiple_choice_grounded_statement_xglue_mlqa_task": 5,
        "multiple_choice_rating_sentiment_no_neutral_task": 2, "multiple_choice_rating_sentiment_task": 3,
        "multiple_choice_sentiment_task": 3,
    }.items():  # fmt: skip
        yield native + subset, options(rows, n)
    for subset, (n, longer) in {
        "race_ar": (4, 60), "piqa_ar": (2, 3), "arc_easy_ar": (4, 4), "arc_challenge_okapi_ar": (4, 6), "mmlu_okapi_ar": (4, 9),
        "openbook_qa_ext_ar": (4, 2),
    }.items():  # fmt: skip
        yield translated + subset, options(rows, n, longer)
    each = range(rows)
    yield translated + "boolq_ar", [
        {"question": f"هل {phrase(i)}؟", "passage": f"{phrase(i)}.\n{phrase(i + 1)}", "answer": i % 3 > 0} for i in each
    ]
    yield translated + "copa_ext_ar", [
        {"premise": f"رأيت {phrase(i)}", "choice1": phrase(i + 1), "choice2": phrase(i + 2) + " و" + phrase(i),
         "question": ["cause", "effect"][i % 2], "label": i // 2 % 2}
        for i in each
    ]  # fmt: skip
    yield translated + "hellaswag_okapi_ar", [
        {"ctx": f"[عنوان] {phrase(i)} [خطوة] ثم",
         "endings": repr([f"{phrase(i + j)} [x] '{j}'" for j in range(4)]), "label": str(i % 4)} for i in each
    ]
    yield translated + "toxigen_ar", [{"text": phrase(i), "toxicity_ai": float(i % 5), "toxicity_human": 2.5} for i in each]
    yield translated + "sciq_ar", [
        {"question": f"ما {phrase(i)}؟", "distractor1": phrase(i + 1), "distractor2": phrase(i + 2),
         "distractor3": phrase(i + 3), "correct_answer": phrase(i + 4), "support": f"{phrase(i + 4)} في {phrase(i)}"}
        for i in each
    ]  # fmt: skip
    yield "juletxara/xstory_cloze/ar", [
        {"story_id": str(i), **{f"input_sentence_{j}": f"{phrase(i + j)}." for j in (1, 2, 3, 4)},
         "sentence_quiz1": phrase(i + 6) + ".", "sentence_quiz2": phrase(i + 8) + ".", "answer_right_ending": 1 + i % 2}
        for i in each
    ]  # fmt: skip


def fill(root, rows=30):
    for where, made in made_up(rows):
        directory = pathlib.Path(root) / where
        if directory.exists():
            continue
        directory.mkdir(parents=True)
        evaluated, examples = ("eval", "train") if "xstory" in where else ("test", "validation")
        for split, part in ((evaluated, made[5:]), (examples, made[:5])):
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in part]
            (directory / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
