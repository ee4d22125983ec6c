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

def asks(fact):
    """The questions about a fact."""
    return [q[0].format(t=fact.town[0], v=fact.value[0]) for q in fact.relation.questions]


def answers(fact):
    return [s[0].format(t=fact.town[0], v=fact.value[0]) for s in fact.relation.statements]


def generator(rng):
    """A prompt and the replies to it that are right, in any order."""
    heading, known = pick(rng)
    body = f"Title: {heading}\nText: {join(known)}"
    kind = rng.choice(["question", "answer", "answer", "followup", "followup_answer"])
    order = rng.sample(known, len(known))
    turns = 0 if kind in ("question", "answer") else rng.randrange(1, min(3, len(order)))
    if turns:
        said = [line for f in order[:turns] for line in (f"User: {rng.choice(asks(f))}", f"Assistant: {rng.choice(answers(f))}")]
        body += "\nConversation:\n" + "\n".join(said)
    if kind in ("question", "followup"):
        right = [q for f in order[turns:] for q in asks(f)]
        rng.shuffle(right)
        return f"{world.ANEW if turns else world.ASK}\n{body}", right
    right = answers(order[turns])
    rng.shuffle(right)
    return f"{world.REPLY}\n{body}\nQuestion: {rng.choice(asks(order[turns]))}", right


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
        prompt, right = generator(rng)
        print(prompt, right[0], *translator(rng), *student(rng)[:2], sep="\n")


if __name__ == "__main__":
    sys.exit(main())
