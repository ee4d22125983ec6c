"""Instructions from parallel text: half of the documents of NTREX and TICO-19 train, the other half is held out."""

import random
import zipfile
from xml.etree import ElementTree

import pyarrow.parquet

from checks import ARABIC, ENGLISH, Failed, peers, side

KINDS = ("to Arabic", "to English", "continue")
TRANSLATIONS = KINDS[:2]
LEAST, MOST = 20, 160  # characters of a side
HELD, TRANSLATED, SHOTS = 60, 24, 3


def instruction(kind, english, arabic):
    """The request, and its answer."""
    if kind == "to Arabic":
        return f"Translate to Arabic: {english}", arabic
    if kind == "to English":
        return f"Translate to English: {arabic}", english
    words = arabic.split()
    half = len(words) // 2
    return "أكمل النص: " + " ".join(words[:half]), " ".join(words[half:])


def row(kind, pair):
    request, answer = instruction(kind, *pair)
    return {"messages": [{"role": "user", "content": request}, {"role": "assistant", "content": answer}]}


def ntrex(path):
    """(document, English, Arabic) of each line."""
    documents = (path.data / "parallel/ntrex/DOCUMENT_IDS.tsv").read_text(encoding="utf-8").splitlines()
    return list(zip(documents, side(path, ENGLISH), side(path, ARABIC), strict=True))


def tico(path):
    """(document, English, Arabic) of each unit; its name is DOCUMENT:LINE."""
    with zipfile.ZipFile(path.data / "parallel/tico19/all.en-ar.tmx.zip") as z:
        root = ElementTree.fromstring(z.read("all.en-ar.tmx"))
    for unit in root.iter("tu"):
        sides = {v.get("{http://www.w3.org/XML/1998/namespace}lang"): (v.findtext("seg") or "").strip() for v in unit.iter("tuv")}
        yield unit.get("tuid").rsplit(":", 1)[0], sides["en"], sides["ar"]


def halves(lines):
    """Pairs of sentences of every second document, and those of the others. A sentence that both have is in neither."""
    order = {document: i for i, document in enumerate(dict.fromkeys(document for document, _, _ in lines))}
    parts = [[(e, a) for document, e, a in lines if order[document] % 2 == part
              and all(LEAST < len(t) <= MOST for t in (e, a))] for part in (0, 1)]
    sentences = [{t for pair in part for t in pair} for part in parts]
    both = sentences[0] & sentences[1]
    return [[pair for pair in dict.fromkeys(part) if not both & set(pair)] for part in parts]


def within(path, pairs):
    """Instructions of pairs, until their tokens are the budget."""
    tok, used, rows = peers.tokenizer(path.model), 0, []
    for i, pair in enumerate(pairs):
        made = row(KINDS[i % len(KINDS)], pair)
        used += len(tok.apply_chat_template(made["messages"], return_dict=False))
        if used > path.budget:
            break
        rows.append(made)
    return rows


def questions(directory):
    """All text of the benchmarks."""
    def strings(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, dict)):
            for v in value.values() if isinstance(value, dict) else value:
                yield from strings(v)
    files = sorted(directory.rglob("*.parquet"))
    return "\n".join(s for f in files for s in strings(pyarrow.parquet.read_table(f).to_pylist()))


def write(path):
    """Writes train.jsonl, held.jsonl, one row for runs that train nothing, and the prompts of translations."""
    parts = [halves(list(lines)) for lines in (ntrex(path), tico(path))]
    train, held = ([pair for part in parts for pair in part[i]] for i in (0, 1))
    for pairs in (train, held):
        random.Random(42).shuffle(pairs)
    asked = questions(path.bench)
    if not asked:
        raise Failed(f"{path.bench}: no questions")
    if found := [t for pair in train for t in pair if t in asked]:
        raise Failed(f"{len(found)} sentences are in the benchmarks, such as {found[0]!r}")
    rows = within(path, train)
    path.write("train.jsonl", rows)
    path.write("row.jsonl", rows[:1])
    path.write("held.jsonl", [row(KINDS[i % len(KINDS)], pair) for i, pair in enumerate(held[:HELD])])
    prompts(path, train[:SHOTS], held[HELD:HELD + TRANSLATED])
    return {"pairs": [len(train), len(held)], "rows": len(rows), "held": HELD}


def prompts(path, examples, pairs):
    chats, shots, asked = [], [], []
    for kind in TRANSLATIONS:
        names, turn = (("English", "Arabic"), 1) if kind == "to Arabic" else (("Arabic", "English"), -1)
        shown = "".join(f"{names[0]}: {e}\n{names[1]}: {a}\n\n" for e, a in (pair[::turn] for pair in examples))
        for pair in pairs:
            request, answer = instruction(kind, *pair)
            chats.append({"messages": [{"role": "user", "content": request}]})
            shots.append({"prompt": f"{shown}{names[0]}: {pair[::turn][0]}\n{names[1]}:"})
            asked.append({"kind": kind, "request": request, "answer": answer})
    for name, values in (("prompts", chats), ("shots", shots), ("asked", asked)):
        path.write(f"{name}.jsonl", values)
