"""The 136 community tasks of the leaderboard's version 1 for lighteval 0.3.0.

lighteval keeps them in a file that its packages leave out. Prompts and
settings are those of May 2024; the 137th task, xstory_cloze:ar, is lighteval's
own. `TASKS_TABLE` is what lighteval reads.
"""

import ast
import random
import re

from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc

ARABIC, LATIN = ["أ", "ب", "ج", "د"], "ABCD"
SHUFFLER = random.Random(1234)
MCQ = "الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح"
TRANSLATED = "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated"
MMLU = """abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry
college_computer_science college_mathematics college_medicine college_physics computer_security conceptual_physics
econometrics electrical_engineering elementary_mathematics formal_logic global_facts high_school_biology
high_school_chemistry high_school_computer_science high_school_european_history high_school_geography
high_school_government_and_politics high_school_macroeconomics high_school_mathematics high_school_microeconomics
high_school_physics high_school_psychology high_school_statistics high_school_us_history high_school_world_history
human_aging human_sexuality international_law jurisprudence logical_fallacies machine_learning management marketing
medical_genetics miscellaneous moral_disputes moral_scenarios nutrition philosophy prehistory professional_accounting
professional_law professional_medicine professional_psychology public_relations security_studies sociology
us_foreign_policy virology world_religions""".split()
ACVA = """Algeria Ancient_Egypt Arab_Empire Arabic_Architecture Arabic_Art Arabic_Astronomy Arabic_Calligraphy
Arabic_Ceremony Arabic_Clothing Arabic_Culture Arabic_Food Arabic_Funeral Arabic_Geography Arabic_History
Arabic_Language_Origin Arabic_Literature Arabic_Math Arabic_Medicine Arabic_Music Arabic_Ornament Arabic_Philosophy
Arabic_Physics_and_Chemistry Arabic_Wedding Bahrain Comoros Egypt_modern InfluenceFromAncientEgypt
InfluenceFromByzantium InfluenceFromChina InfluenceFromGreece InfluenceFromIslam InfluenceFromPersia
InfluenceFromRome Iraq Islam_Education Islam_branches_and_schools Islamic_law_system Jordan Kuwait Lebanon Libya
Mauritania Mesopotamia_civilization Morocco Oman Palestine Qatar Saudi_Arabia Somalia Sudan Syria Tunisia
United_Arab_Emirates Yemen communication computer_and_phone daily_life entertainment""".split()
ALGHAFA = """mcq_exams_test_ar meta_ar_dialects meta_ar_msa multiple_choice_facts_truefalse_balanced_task
multiple_choice_grounded_statement_soqal_task multiple_choice_grounded_statement_xglue_mlqa_task
multiple_choice_rating_sentiment_no_neutral_task multiple_choice_rating_sentiment_task
multiple_choice_sentiment_task""".split()


def doc(task, query, choices, gold, instruction=None):
    return Doc(task_name=task, query=query, choices=choices, gold_index=gold, instruction=instruction)


def numbered(choices):
    return "".join(f"{i}) {c}\n" for i, c in enumerate(choices))


def about(row):
    return f"{MCQ} حول {row['subject'].replace('_', ' ')}. \n\n"


def mmlu_arabic(row, task_name=None):
    lines = "".join(f"{a}. {row[c]}\n" for a, c in zip(ARABIC, LATIN))
    query = f"{about(row)}{row['question']}\n{lines}الإجابة:"
    return doc(task_name, query, ARABIC, LATIN.index(row["answer"]), about(row))


def arabic_exams(row, task_name=None):
    lines = "\n".join(f" {a}) {row[c]}\n" for a, c in zip(ARABIC, LATIN))
    query = f"{about(row)}السؤال: {row['question']}\n{lines}\nالإجابة:"
    return doc(task_name, query, ARABIC, LATIN.index(row["answer"]), about(row))


def acva(row, task_name=None):
    choices = ["صح", "خطأ"]
    return doc(task_name, f"السؤال: {row['question']}\nالإجابة:", choices, choices.index(row["answer"]))


def alghafa_prompt(row, task_name=None):
    choices = [v for k, v in row.items() if k not in ("query", "label", "__few_shots")]
    query = f"{MCQ}\n\nالسؤال: {row['query']}\n{numbered(choices)}الإجابة:"
    return doc(task_name, query, choices, int(row["label"]), MCQ + "\n\n")


def indented(*lines):
    return "".join(f"\n    {line}" if line else "\n" for line in lines)


def boolq_prompt_arabic(row, task_name=None):
    ask = "بناء على المقطع التالي، أجب عن السؤال ب نعم أو لا"
    query = ask + indented("المقطع :", row["passage"], "السؤال:", row["question"], "الإجابة:") + "\n    "
    return doc(task_name, query, ["نعم", "لا"], 0 if row["answer"] else 1, ask)


def copa_prompt_arabic(row, task_name=None):
    choices = [row["choice1"], row["choice2"]]
    because = {"cause": "لأن", "effect": "لذلك"}[row["question"]]
    return doc(task_name, f"{row['premise']}، {because} :\n{numbered(choices)}الإجابة:", choices, row["label"], "")


def hellaswag_prompt_arabic(row, task_name=None):
    plain = [re.sub(r"\[.*?\]", "", text) for text in [row["ctx"], *ast.literal_eval(row["endings"])]]
    ask = "بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية"
    query = ask + indented("السياق:", plain[0], "الاقتراحات:", "") + "\n    " + numbered(plain[1:]) + "الإجابة:"
    return doc(task_name, query, plain[1:], int(row["label"]), ask)


def toxigen_prompt_arabic(row, task_name=None):
    ask = 'هل العبارة التالية تحض على الكراهية؟ قم بالرد بـ"نعم" أو "لا".'
    query = ask + indented("العبارة:", f"'{row['text']}'", "الإجابة:") + "\n    "
    return doc(task_name, query, ["لا", "نعم"], int(row["toxicity_ai"] + row["toxicity_human"] > 5.5), ask)


def sciq_prompt_arabic(row, task_name=None):
    """lighteval shuffles with Python's own generator, which it seeds only later: here with one that is seeded."""
    choices = [row["distractor1"], row["distractor2"], row["distractor3"], row["correct_answer"]]
    SHUFFLER.shuffle(choices)
    ask = "بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات"
    query = ask + indented("السياق:", row["support"], "السؤال:", row["question"], "الإجابات المحتملة:", "")
    query += "\n    " + numbered(choices) + "الإجابة:"
    return doc(task_name, query, choices, choices.index(row["correct_answer"]), ask)


TRANSLATED_TASKS = dict.fromkeys(
    "race_ar piqa_ar arc_easy_ar arc_challenge_okapi_ar mmlu_okapi_ar openbook_qa_ext_ar".split(), alghafa_prompt
) | {
    "boolq_ar": boolq_prompt_arabic, "copa_ext_ar": copa_prompt_arabic, "hellaswag_okapi_ar": hellaswag_prompt_arabic,
    "toxigen_ar": toxigen_prompt_arabic, "sciq_ar": sciq_prompt_arabic,
}  # fmt: skip


def settings():
    """Yields name, prompt function, repository, subset, few-shot split, generation size."""
    for s in MMLU:
        yield f"arabic_mmlu:{s}", mmlu_arabic, "OALL/Arabic_MMLU", s, "dev", -1
    for s in ACVA:
        yield f"acva:{s}", acva, "OALL/ACVA", s, "validation", -1
    for s in ALGHAFA:
        yield f"alghafa:{s}", alghafa_prompt, "OALL/AlGhafa-Arabic-LLM-Benchmark-Native", s, "validation", -1
    yield "arabic_exams", arabic_exams, "OALL/Arabic_EXAMS", "default", "validation", None
    for s, prompt in TRANSLATED_TASKS.items():
        yield s, prompt, TRANSLATED, s, "validation", None


def table():
    """Tasks as 0.3.0 wants them: dicts with the names of functions."""
    for name, prompt, repo, subset, few_shots, size in settings():
        yield LightevalTaskConfig(
            name=name, prompt_function=prompt.__name__, hf_repo=repo, hf_subset=subset, metric=["loglikelihood_acc_norm"],
            hf_avail_splits=["test", few_shots], evaluation_splits=["test"], few_shots_split=few_shots,
            few_shots_select="sequential", suite=["community"], generation_size=size,
        ).as_dict()  # fmt: skip


TASKS_TABLE = list(table())
