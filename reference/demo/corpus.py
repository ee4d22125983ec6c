"""Draws the training data of the demonstration's three models. Names are of the class TRAINING only.

    python reference/demo/corpus.py > internal/demo/testdata/training.txt

prints a sample of the texts, which a test compares with what the demonstration holds.
"""

import random
import sys

import world
from world import ANSWER, ANSWERS, CHOOSE, CONTEXT, QUESTION, SECTIONS, TRAINING, Choice, Fact, facts, name, some_facts


def title(town, section):
    return f"{town}: {section}" if section else town


def pick(rng, most=3):
    """Facts as passages have them: of one section, or of all."""
    town = name(rng, TRAINING)
    if rng.random() < 0.7:
        section = rng.choice(SECTIONS)
        return title(town[0], section), facts(rng, town, section, TRAINING)
    return town[0], some_facts(rng, town, rng.randrange(2, most + 2), TRAINING)


def join(some, side=0):
    return " ".join(f.statement()[side] for f in some)


# The generator: the prompts of synth, answered in English

def asks(rng, fact):
    """A question about a fact in either form."""
    return fact.relation.questions[rng.randrange(2)][0].format(t=fact.town[0], v=fact.value[0])


def answer(rng, fact):
    return fact.relation.statements[rng.randrange(2)][0].format(t=fact.town[0], v=fact.value[0])


def generator(rng):
    """A prompt and the reply to it."""
    heading, known = pick(rng)
    body = f"Title: {heading}\nText: {join(known)}"
    kind, said = rng.choice(["question", "answer", "answer", "followup", "followup_answer"]), []
    order = rng.sample(known, len(known))
    if kind == "question":
        return f"{world.ASK}\n{body}", asks(rng, order[0])
    if kind == "answer":
        return f"{world.REPLY}\n{body}\nQuestion: {asks(rng, order[0])}", answer(rng, order[0])
    turns = rng.randrange(1, min(3, len(order)))
    for f in order[:turns]:
        said += [f"User: {asks(rng, f)}", f"Assistant: {answer(rng, f)}"]
    body += "\nConversation:\n" + "\n".join(said)
    if kind == "followup":
        return f"{world.ANEW}\n{body}", asks(rng, order[turns])
    return f"{world.REPLY}\n{body}\nQuestion: {asks(rng, order[turns])}", answer(rng, order[turns])


# The translator: sentences, questions, single values, the lines around them

def translator(rng):
    """A sentence in English and Arabic."""
    draw = rng.random()
    if draw < 0.06:
        return rng.choice(world.LINES + list(world.SECTIONS_ARABIC.items()))
    relation = rng.choice(world.RELATIONS + [world.RIVER, world.YEAR])
    fact = Fact(rng, relation, name(rng, TRAINING), TRAINING)
    if draw < 0.20:
        return fact.value
    if draw < 0.24:
        return fact.town
    return fact.statement() if draw < 0.66 else fact.question()


# The student: English alone

def options(choice, side, first, lead=""):
    """The options as numbered lines, in their order."""
    return "\n".join(f"{lead if i == 0 else ''}{i + first}) {v[side]}" for i, v in enumerate(choice.order))


def ordered(rng, classes):
    choice = Choice(rng, classes)
    choice.order = choice.wrong + [choice.right]
    rng.shuffle(choice.order)
    return choice


def chosen(rng, choice, side=0, raw=True):
    """A question with options as the task of the evaluation puts it, or as the template of convert."""
    head = CHOOSE[side] if not raw else CHOOSE[side].rstrip(".")
    indent = "    " if raw else ""
    lines = [head, indent + CONTEXT[side], indent + choice.text()[side], indent + QUESTION[side], indent + choice.asked.question()[side],
             indent + ANSWERS[side]] + ([""] if raw else [])
    return "\n".join(lines) + "\n" + options(choice, side, 0 if raw else 1, indent) + "\n" + ANSWER[side]


def student(rng):
    """A prompt and an answer, and whether they are turns of a chat."""
    draw = rng.random()
    if draw < 0.4:
        choice = ordered(rng, TRAINING)
        return chosen(rng, choice, 0, True), choice.right[0], False
    if draw < 0.7:
        choice = ordered(rng, TRAINING)
        return chosen(rng, choice, 0, False), choice.right[0], True
    _, known = pick(rng)
    fact = rng.choice(known)
    if draw < 0.8:
        return fact.question()[0], fact.statement()[0], True
    return join(known) + "\n" + fact.question()[0], fact.statement()[0], rng.random() < 0.5


def main():
    rng = random.Random(1)
    print("# Texts on which the models of the demonstration were trained, as reference/demo/corpus.py draws them.")
    for _ in range(300):
        print(*generator(rng), *translator(rng), *student(rng)[:2], sep="\n", end="\n")


if __name__ == "__main__":
    sys.exit(main())
