"""The invented country of `barka demo`: its names, its words and its sentences, in English and Arabic.

All texts of the demonstration and all texts on which its models are trained come from this file. The
vocabulary is closed; the names of towns and rivers are not. A name has three syllables, and the sum of
their numbers modulo 8 says where it may occur: 0 in the demonstration's articles and questions, 1 in the
held-out questions of its evaluation, any other in the training data of the models. Every sentence has a
name, so that no sentence of one of the three occurs in another. internal/demo/world_test.go checks both.
"""

import random

CONSONANTS = list(zip("bdfgklmnrstz", "بدفجكلمنرستز"))
VOWELS = list(zip("aio", "ايو"))
SYLLABLES = [(a + c, b + d) for a, b in CONSONANTS for c, d in VOWELS]

ARTICLES, HELD_OUT, TRAINING = (0,), (1,), (2, 3, 4, 5, 6, 7)


def name(rng, classes):
    """A name of one of the classes, as (English, Arabic)."""
    while True:
        numbers = [rng.randrange(len(SYLLABLES)) for _ in range(3)]
        if sum(numbers) % 8 in classes and len(set(numbers)) == 3:
            return ("".join(SYLLABLES[n][0] for n in numbers).capitalize(), "".join(SYLLABLES[n][1] for n in numbers))


class Relation:
    """What a sentence says about a town: its values, statements and questions.

    Values, statements and questions are pairs of English and Arabic. {t} is the town and {v} the value. The first
    statement is also how the question is answered.
    """

    def __init__(self, key, section, values, statements, questions):
        self.key, self.section, self.statements, self.questions = key, section, statements, questions
        self.values = [tuple(v.split("=")) for v in values.split()]


LEAD, WORK, SIGHTS = None, "Work", "Sights"
SECTIONS = [LEAD, WORK, SIGHTS]
SECTIONS_ARABIC = {WORK: "العمل", SIGHTS: "المعالم"}

RELATIONS = [
    Relation("founder", LEAD,
             "merchant=تاجر king=ملك sailor=بحار doctor=طبيب poet=شاعر weaver=نساج teacher=معلم hunter=صياد",
             [("A {v} founded {t}.", "أسس {t} {v}."),
              ("The founder of {t} was a {v}.", "مؤسس {t} {v}.")],
             [("Who founded {t}?", "من أسس {t}؟"),
              ("Who was the founder of {t}?", "من مؤسس {t}؟")]),
    Relation("roofs", LEAD,
             "red=أحمر green=أخضر blue=أزرق white=أبيض black=أسود yellow=أصفر brown=بني gray=رمادي",
             [("The colour of the roofs in {t} is {v}.", "لون السقوف في {t} {v}."),
              ("In {t} all roofs are {v}.", "كل السقوف في {t} لونها {v}.")],
             [("What colour are the roofs in {t}?", "ما لون السقوف في {t}؟"),
              ("Which colour do the roofs of {t} have?", "أي لون لسقوف {t}؟")]),
    Relation("craft", WORK,
             "pottery=الفخار glass=الزجاج paper=الورق soap=الصابون silk=الحرير ropes=الحبال baskets=السلال carpets=السجاد",
             [("The workers of {t} make {v}.", "يصنع عمال {t} {v}."),
              ("The workshops of {t} produce {v}.", "تنتج ورش {t} {v}.")],
             [("What do the workers of {t} make?", "ماذا يصنع عمال {t}؟"),
              ("What do the workshops of {t} produce?", "ماذا تنتج ورش {t}؟")]),
    Relation("crop", WORK,
             "olives=الزيتون dates=التمر wheat=القمح rice=الأرز figs=التين apples=التفاح grapes=العنب cotton=القطن",
             [("The farmers of {t} grow {v}.", "يزرع فلاحو {t} {v}."),
              ("In the fields near {t} the people harvest {v}.", "في حقول {t} يحصد الناس {v}.")],
             [("What do the farmers of {t} grow?", "ماذا يزرع فلاحو {t}؟"),
              ("What do the people harvest near {t}?", "ماذا يحصد الناس في حقول {t}؟")]),
    Relation("market", WORK,
             "Monday=الاثنين Tuesday=الثلاثاء Wednesday=الأربعاء Thursday=الخميس Friday=الجمعة Saturday=السبت Sunday=الأحد",
             [("The market of {t} opens on {v}.", "يفتح سوق {t} يوم {v}."),
              ("Traders come to {t} on {v}.", "يأتي التجار إلى {t} يوم {v}.")],
             [("On which day does the market of {t} open?", "في أي يوم يفتح سوق {t}؟"),
              ("On which day do traders come to {t}?", "في أي يوم يأتي التجار إلى {t}؟")]),
    Relation("flag", SIGHTS,
             "lion=أسد horse=حصان camel=جمل fish=سمكة falcon=صقر deer=غزال wolf=ذئب bear=دب",
             [("The flag of {t} shows a {v}.", "يظهر على علم {t} {v}."),
              ("There is a {v} on the flag of {t}.", "هناك {v} على علم {t}.")],
             [("Which animal does the flag of {t} show?", "أي حيوان يظهر على علم {t}؟"),
              ("Which animal is on the flag of {t}?", "ما الحيوان على علم {t}؟")]),
    Relation("sight", SIGHTS,
             "bridge=الجسر tower=البرج mill=الطاحونة library=المكتبة fountain=النافورة garden=الحديقة castle=القلعة theatre=المسرح",
             [("Visitors of {t} admire the {v}.", "يحب زوار {t} {v}."),
              ("The oldest building of {t} is the {v}.", "أقدم بناء في {t} {v}.")],
             [("What do visitors of {t} admire?", "ماذا يحب زوار {t}؟"),
              ("What is the oldest building of {t}?", "ما أقدم بناء في {t}؟")]),
    Relation("music", SIGHTS,
             "lute=العود drum=الطبل flute=الناي harp=القيثارة violin=الكمان horn=البوق piano=البيانو guitar=الغيتار",
             [("The musicians of {t} play the {v}.", "يعزف موسيقيو {t} على {v}."),
              ("The children of {t} learn the {v}.", "يتعلم أطفال {t} {v}.")],
             [("Which instrument do the musicians of {t} play?", "على أي آلة يعزف موسيقيو {t}؟"),
              ("Which instrument do the children of {t} learn?", "أي آلة يتعلم أطفال {t}؟")]),
]

# The river and the year have values that are not in a list.
RIVER = Relation("river", LEAD, "",
                 [("{t} lies on the river {v}.", "تقع {t} على نهر {v}."),
                  ("The river {v} flows through {t}.", "يجري نهر {v} في {t}.")],
                 [("On which river does {t} lie?", "على أي نهر تقع {t}؟"),
                  ("Which river flows through {t}?", "أي نهر يجري في {t}؟")])
YEAR = Relation("year", LEAD, "",
                [("{t} has been a town since {v}.", "صارت {t} مدينة عام {v}."),
                 ("Since {v} the town of {t} has had walls.", "لمدينة {t} أسوار منذ عام {v}.")],
                [("Since when has {t} been a town?", "متى صارت {t} مدينة؟"),
                 ("Since when has the town of {t} had walls?", "منذ متى لمدينة {t} أسوار؟")])


class Fact:
    """A statement about a town, and the question that it answers."""

    def __init__(self, rng, relation, town, classes):
        if relation is RIVER:
            value = name(rng, classes)
        elif relation is YEAR:
            value = (str(rng.randrange(1100, 1900)),) * 2
        else:
            value = rng.choice(relation.values)
        self.relation, self.town, self.value, self.form = relation, town, value, rng.randrange(2)

    def _pair(self, pattern):
        return tuple(p.format(t=t, v=v) for p, t, v in zip(pattern, self.town, self.value))

    def statement(self):
        return self._pair(self.relation.statements[self.form])

    def question(self):
        return self._pair(self.relation.questions[self.form])


def facts(rng, town, section, classes, most=9):
    """Facts of a section of the article about a town, in any order."""
    relations = [r for r in RELATIONS + [RIVER, YEAR] if r.section == section]
    rng.shuffle(relations)
    return [Fact(rng, r, town, classes) for r in relations[:most]]


def some_facts(rng, town, number, classes):
    """Facts of any section, of different relations."""
    return [Fact(rng, r, town, classes) for r in rng.sample(RELATIONS + [RIVER, YEAR], number)]


class Choice:
    """A text about a town, a question that a sentence of it answers, and four options.

    Of the wrong options two are said of the town by other sentences, and one is of the right kind but not in the text.
    """

    def __init__(self, rng, classes, sentences=3):
        town = name(rng, classes)
        asked = Fact(rng, rng.choice(RELATIONS), town, classes)
        others = [Fact(rng, r, town, classes)
                  for r in rng.sample([r for r in RELATIONS if r is not asked.relation], sentences - 1)]
        self.town, self.facts, self.asked, self.right = town, [asked] + others, asked, asked.value
        rng.shuffle(self.facts)
        near = rng.choice([v for v in asked.relation.values if v != asked.value])
        self.wrong = [f.value for f in others][:2] + [near]
        rng.shuffle(self.wrong)

    def text(self):
        return tuple(" ".join(s) for s in zip(*(f.statement() for f in self.facts)))


def words():
    """All words and signs of the vocabulary, English and Arabic, without names and numbers."""
    found = {}
    texts = list(PROMPTS)
    for r in RELATIONS + [RIVER, YEAR]:
        texts += [s for pair in r.statements + r.questions for s in pair] + [v for pair in r.values for v in pair]
    texts += [WORK, SIGHTS, *SECTIONS_ARABIC.values()]
    for text in texts:
        for word in pieces(text.replace("{t}", " ").replace("{v}", " ")):
            if not word.isdigit():
                found.setdefault(word)
    return list(found)


def pieces(text):
    """A text as the tokenizer's pre-tokenizer divides it: words, signs, line ends."""
    out, word = [], ""
    for c in text + " ":
        if c.isalnum() or 0x64B <= ord(c) <= 0x652:
            word += c
            continue
        if word:
            out.append(word)
        word = ""
        if c != " ":
            out.append(c)
    return out


# The words around texts: prompts of synth, templates of convert, and the prompt of the evaluation's task.
CHOOSE = ("Going by the context below, choose the right answer to the following question from the list of suggestions.",
          "بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات.")
CONTEXT, QUESTION = ("Context:", "السياق:"), ("Question:", "السؤال:")
ANSWERS, ANSWER = ("Possible answers:", "الإجابات المحتملة:"), ("Answer:", "الإجابة:")
LINES = [CHOOSE, CONTEXT, QUESTION, ANSWERS, ANSWER]
ASK = "Write a question about the text."
REPLY = "Answer the question by the text."
ANEW = "Write a new question about the text."
PROMPTS = [s for pair in LINES for s in pair] + [
    ASK, REPLY, ANEW, "Title:", "Text:", "Conversation:", "User:", "Assistant:", ")", "-", "(", "!", "؛"]
