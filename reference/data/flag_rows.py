"""Flags generated question-and-answer rows that are not worth training on.

    python reference/data/flag_rows.py INSTRUCTIONS PASSAGES [--show N] [--max-share X]

INSTRUCTIONS is what `barka synth` wrote and PASSAGES what it read: dataset directories or .jsonl
files. Every turn of a row is examined, and a row is flagged if one of its turns is:

    degenerate  the question is about the task or about nothing: "What is the answer to this
                question?", "What do you have?", "I'm ready to help."
    unrelated   question and passage (with its title and section) share no content word
    ungrounded  less than 40 % of the answer's content words occur in passage, title or question
    several     the message asks several questions at once

A message may show text of the passage, to be summarised or rewritten. That text is taken out of the
question first, and the message may then speak of "the text".

Content words are words of at least three letters or digits outside a list of stop words, compared
by a light stem. The counts, the kept share and the flagged rows are printed. The exit status is 1
if more than --max-share of the rows are flagged. The script judges what the checks of synth let
pass, so it shares no code with them and does not follow their changes. It judges English alone.
"""

import argparse
import json
import pathlib
import re
import sys
import unicodedata

GROUNDED = 0.4  # least share of an answer's content words that the passage must have

STOP = set("""
a about above after again against all almost also although am among an and another any are around as at
be became because become been before being below between both but by came can cannot correct could did do does doing done
down during each either else even ever every example examples explain false few first for from further gave get give given
had has have having he her here hers him his how however i if in include included includes including into is it its
itself just know known like made main make makes many may me mean means might more most much must my near need neither
never no nor not now of off often on once one only option or other others our out over own part particular per play played
question questions answer answers rather really role same say says second several shall she should significance
significant since so some something specific still such tell than that the their them then there these they thing
things this those three through thus to too topic topics toward true two type types under until up upon us use used uses using various
very was way ways we well were what when where whether which while who whom whose why will with within without would
yes yet you your
""".split())

# Questions about the task, and questions without a subject of their own.
DEGENERATE = re.compile(r"""
    \banswer\ (?:to|of|for)\ (?:this|that|the|my|your)\ (?:\w+\ )?question
  | \b(?:this|that|the\ (?:following|above|given|first|next|last))\ (?:question|answer|prompt|task|topic|subject)s?\b
  | ^(?:the|my|a|your)?\ ?(?:question|answer)\b
  | \byour\ (?:answer|name|question|title|understanding)\b
  | \bwhat\ (?:is|are|was)\ (?:the|a|an|your|this|that)\ (?:(?:main|short|correct|right|best|following|final)\ )*
      (?:answers?|questions?|topics?|titles?|texts?|passages?|subjects?|points?)\s*\?
  | \bwhat\ (?:question|answer)\ (?:is|are|do|does|would|should)\b
  | \b(?:would|do|are|have|should)\ (?:you|i)\b
  | \bwhat\ (?:can|may)\ i\b
  | \b(?:help|assist)\ (?:you|me)\b
  | \bi(?:'m|'ll|\ am|\ will|\ can)\b
  | ^what\ (?:is|are|was|were)\ (?:it|this|that|these|those|they|he|she)\s*\?
  | ^(?:here|sure|certainly|of\ course)\b
  | \ba\ question\ (?:to|that|about|whose|in)\b
""", re.I | re.X)

# Wording about a text, which the message does not show.
TEXT = re.compile(r"\b(?:this|that|the|given|provided|above|following) (?:text|passage|article|paragraph|excerpt|sentence)s?\b", re.I)

# A second question behind the first, without a question mark between them.
JOINED = re.compile(r"(?:\band|[,;]) (?:what|why|how|when|where|who)\b (?:do|does|did|is|are|was|were|has|have|can|could)\b", re.I)


def fold(text):
    """Lower case without accents, as names are written both ways."""
    text = unicodedata.normalize("NFKD", text.casefold()).replace("’", "'")
    return "".join(c for c in text if not unicodedata.combining(c))


def stem(word):
    """Takes the endings of English plurals, verbs and adjectives off, so that forms of a word meet."""
    for ending in ("ization", "ations", "ation", "ingly", "ities", "ments", "ness", "ment", "ions", "able", "ible", "ally",
                   "ical", "ied", "ies", "ing", "ity", "ion", "ers", "ian", "ive", "est", "ous", "ed", "er", "es", "ly",
                   "al", "ic", "an", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def content(text):
    """The stems of the content words, in order."""
    words = re.findall(r"[^\W_]+(?:[.,][0-9]+)*", re.sub(r"'s?\b", "", fold(text)))
    return [stem(w) for w in words if len(w) >= 3 and w not in STOP or w.isdigit()]


def squeeze(text):
    return " ".join(text.split())


def without_shown(message, passage):
    """The message without the paragraphs of the passage that it shows, and whether there are any."""
    left, shown = [], False
    for line in message.replace("’", "'").split("\n"):
        text = squeeze(line).strip("«»\" ")
        if len(text) >= 80 and text in passage:
            shown = True
        else:
            left.append(line)
    return "\n".join(left), shown


def flags(message, answer, passage):
    question, shown = without_shown(message, squeeze(passage.replace("’", "'")))
    found = []
    asked, known = set(content(message)), set(content(passage))
    if DEGENERATE.search(question) or not asked or not shown and TEXT.search(question):
        found.append("degenerate")
    elif not asked & known:
        found.append("unrelated")
    said = content(answer)
    if sum(w in known or w in asked for w in said) < GROUNDED * len(said):
        found.append("ungrounded")
    if question.count("?") > 1 or JOINED.search(question):
        found.append("several")
    return found


def read(path):
    """The rows of a dataset directory or of a file of JSON lines."""
    path = pathlib.Path(path)
    if path.is_dir():
        import pyarrow.parquet

        for file in sorted(path.glob("*.parquet")):
            yield from pyarrow.parquet.read_table(file).to_pylist()
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def turns(messages):
    """The pairs of a user's message and the assistant's after it."""
    for user, assistant in zip(messages, messages[1:]):
        if user["role"] == "user" and assistant["role"] == "assistant":
            yield user["content"], assistant["content"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("instructions")
    parser.add_argument("passages")
    parser.add_argument("--show", type=int, default=1 << 30, help="largest number of flagged rows to print")
    parser.add_argument("--max-share", type=float, default=1.0, help="largest share of flagged rows that is a success")
    args = parser.parse_args()

    passages = {p["id"]: "\n".join([p["title"], p["section"], p["text"]]) for p in read(args.passages)}
    rows, bad, counts = 0, [], {"degenerate": 0, "unrelated": 0, "ungrounded": 0, "several": 0}
    for row in read(args.instructions):
        rows += 1
        if row["passage_id"] not in passages:
            sys.exit(f"row {row['id']} is about passage {row['passage_id']}, which {args.passages} does not have")
        found = {}
        for question, answer in turns(row["messages"]):
            for flag in flags(question, answer, passages[row["passage_id"]]):
                found.setdefault(flag, (question, answer))
        for flag in found:
            counts[flag] += 1
        if found:
            bad.append((row, found))
    for row, found in bad[: args.show]:
        print(f"{row['id']}  {row['title']}: {', '.join(found)}")
        for question, answer in dict.fromkeys(found.values()):
            print(f"    Q {' '.join(question.split())[:300]}\n    A {' '.join(answer.split())[:300]}")
    share = len(bad) / rows if rows else 0.0
    print(f"{rows} of {len(passages)} passages kept, {len(bad)} of {rows} rows flagged ({share:.1%}): "
          + ", ".join(f"{name} {n}" for name, n in counts.items()))
    sys.exit(share > args.max_share)


if __name__ == "__main__":
    main()
