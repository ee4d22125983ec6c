"""Builds the two models of testdata/chain: a tiny Gemma-2 and a tiny NLLB, trained for minutes on one core.

    python reference/make_demo_models.py [gemma2|nllb] --parallel PARALLEL.tmx.zip [--steps N] [--out DIR] [--check N]

It needs the packages of requirements.txt and, in the repository, the chain's prompts, its pages and the tokenizers
(testdata/chain/models, by demo_tokenizers.py). PARALLEL.tmx.zip is all.en-ar.tmx.zip of TICO-19.
--steps 0 needs no parallel text. Without --out it writes over the committed models.

Text: the chain's own pages (testdata/chain/data/pages.xml), our questions about them
(demo_questions.tsv), our Arabic of both (demo_parallel.tsv), and the English-Arabic sentences of
TICO-19 (CC0, https://tico-19.github.io).
The models know these texts by heart and nothing else. They test the pipeline, not quality.
"""

import argparse
import json
import pathlib
import random
import re
from xml.etree import ElementTree

import torch
from transformers import AutoTokenizer, Gemma2Config, Gemma2ForCausalLM, M2M100Config, M2M100ForConditionalGeneration

from demo_tokenizers import DEMO, ROOT, parallel
from descent import descend

HERE = pathlib.Path(__file__).resolve().parent
PROMPTS = DEMO / "prompts"
IGNORE = -100


# The pages

def plain(text):
    """Wikitext to plain text: only the markup that the demonstration's pages use."""
    text = re.sub(r"<ref[^>]*/>|<ref[^>]*>.*?</ref>|<references\s*/>", "", text, flags=re.S)
    text = re.sub(r"\{\{convert\|(\d+)\|(\w+)\}\}", r"\1 \2", text)
    text = re.sub(r"\[\[(?:[^|\]]*\|)?([^\]]*)\]\]", r"\1", text)
    return re.sub(r"'{2,}", "", text)


def passages():
    """(title, section, text) of every lead and section with text; a subsection is "Section > Subsection"."""
    ns = "{http://www.mediawiki.org/xml/export-0.11/}"
    for page in ElementTree.parse(DEMO / "data" / "pages.xml").getroot().iter(ns + "page"):
        text = page.find(ns + "revision").findtext(ns + "text")
        if text.startswith("#REDIRECT"):
            continue
        parts = re.split(r"^(=+) *(.*?) *=+$", plain(text), flags=re.M)
        parent = ""
        for marks, heading, body in zip([""] + parts[1::3], [""] + parts[2::3], parts[0::3]):
            section = f"{parent} > {heading}" if len(marks) > 2 else heading
            parent = parent if len(marks) > 2 else heading
            if body.strip() and section not in ("See also", "References"):
                yield page.findtext(ns + "title"), section, body.strip()


def sentences(text):
    return re.split(r"(?<=[.]) ", text)


def tsv(name):
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def questions():
    """(title, section) to its three questions, each with the sentences that answer it."""
    table = {}
    for title, section, numbers, question in tsv("demo_questions.tsv"):
        table.setdefault((title, section), []).append((question, [int(n) for n in numbers.split(",")]))
    return table


# Gemma-2: the prompts of synth, answered

def render(name, title, passage, question="", conversation="", turns=3):
    """A prompt of synth, filled in as synth does it."""
    values = {"Title": title, "Passage": passage, "Question": question, "Conversation": conversation, "Turns": str(turns)}
    text = (PROMPTS / f"{name}.txt").read_text(encoding="utf-8")
    return re.sub(r"\{\{\.(\w+)\}\}", lambda m: values[m.group(1)], text).strip()


def headline(rng, title, section):
    """The title as synth writes it, or now and then otherwise."""
    if not section:
        return title
    last = section.split(" > ")[-1]
    return rng.choice(4 * [f"{title}: {section}"] + [title, f"{title}: {last}", f"{title} ({last})", f"{title} > {section}"])


def vary(rng, text):
    """Now and then a word is missing, so that the answer hangs on no single one."""
    if rng.random() < 0.6:
        return text
    return " ".join(w for w in text.split(" ") if rng.random() > 0.05)


def conversation(rng, turns):
    """Earlier turns, whose answers now and then lack their last sentence."""
    lines = []
    for q, a in turns:
        if rng.random() < 0.2:
            a = " ".join(sentences(a)[:-1]) or a
        lines += [f"User: {vary(rng, q)}", f"Assistant: {vary(rng, a)}"]
    return "\n".join(lines)


def exchange(rng, title, section, body, asked):
    """One prompt of synth and the reply that the model shall give."""
    lines = sentences(body)
    turns = [(q, " ".join(lines[n] for n in numbers)) for q, numbers in asked]
    title, passage = headline(rng, title, section), vary(rng, body)
    kind = rng.choice(["question", "questions"] + 2 * ["answer", "followup", "followup_answer"])
    if kind == "question":
        return render("question", title, passage), turns[0][0]
    if kind == "questions":
        return render("questions_tags", title, passage, turns=len(turns)), "\n".join(f"<question>{q}</question>" for q, _ in turns)
    if kind == "answer":
        q, a = rng.choice(turns)
        return render("answer", title, passage, vary(rng, q)), a
    n = rng.choice([1, 2])
    if kind == "followup":
        return render("followup", title, passage, conversation=conversation(rng, turns[:n])), turns[n][0]
    return render("followup_answer", title, passage, vary(rng, turns[n][0]), conversation(rng, turns[:n])), turns[n][1]


def chat_example(tok, prompt, reply):
    """Ids and labels: the reply and its <end_of_turn> are trained."""
    head = tok.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True)
    tail = tok(reply + "<end_of_turn>", add_special_tokens=False)["input_ids"]
    return head + tail, [IGNORE] * len(head) + tail


def gemma_batches(rng, tok, corpus, pairs, size):
    """Endlessly batches of replies, neighbours in length together; every ninth is plain sentences of both languages."""
    while True:
        rows = [chat_example(tok, *exchange(rng, *rng.choice(corpus))) for _ in range(8 * size)]
        rows.sort(key=lambda r: len(r[0]))
        batches = [rows[i:i + size] for i in range(0, len(rows), size)]
        plain_ids = [tok(rng.choice(rng.choice(pairs)))["input_ids"][:96] + [tok.eos_token_id] for _ in range(2 * size)]
        batches.append([(i, i) for i in plain_ids])
        rng.shuffle(batches)
        for batch in batches:
            width = max(len(i) for i, _ in batch)
            yield {"input_ids": torch.tensor([i + [tok.pad_token_id] * (width - len(i)) for i, _ in batch]),
                   "labels": torch.tensor([l + [IGNORE] * (width - len(l)) for _, l in batch]),
                   "attention_mask": torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i, _ in batch])}


def gemma2(args):
    tok = AutoTokenizer.from_pretrained(DEMO / "models" / "gemma2")
    end = tok.convert_tokens_to_ids("<end_of_turn>")
    model = Gemma2ForCausalLM(Gemma2Config(
        vocab_size=len(tok), hidden_size=96, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=32, query_pre_attn_scalar=32, sliding_window=512, max_position_embeddings=1024, initializer_range=0.05,
        bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id, attn_implementation="eager"))
    model.generation_config.eos_token_id = [tok.eos_token_id, end]
    asked, rng = questions(), random.Random(args.seed)
    corpus = [(t, s, body, asked[t, s]) for t, s, body in passages()] if args.steps else []
    pairs = parallel(args.parallel) if args.steps else []
    batches = gemma_batches(rng, tok, corpus, pairs, 12)
    train(model, args, 3e-3, batches)
    save(model, args.out / "gemma2")
    if args.steps:
        gemma_check(args.out / "gemma2", tok, corpus, args.check)


def gemma_check(directory, tok, corpus, most):
    """How many of the prompts (of the first ones, at most) the saved model answers as taught, greedily."""
    model = Gemma2ForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    cases, right = [], 0
    for title, section, body, asked in corpus:
        lines = sentences(body)
        name = f"{title}: {section}" if section else title
        cases.append((render("question", name, body), asked[0][0]))
        cases += [(render("answer", name, body, q), " ".join(lines[n] for n in numbers)) for q, numbers in asked]
    for prompt, want in cases[:most]:
        ids = tok.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt")
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=200, do_sample=False)[0][ids.shape[1]:]
        got = tok.decode(out, skip_special_tokens=True)
        right += got == want
        if got != want:
            print("got ", got, "\nwant", want)
    print(f"gemma2: {right} of {len(cases[:most])} replies exactly as taught")


# NLLB: sentences by heart

def nllb_rows(rng, tok, pairs, own):
    """One epoch: TICO-19 once, our own sentences several times, alone and joined."""
    rows = list(pairs)
    for _ in range(10):
        rows += own
    for _ in range(2 * len(own)):
        n = rng.choice([2, 3])
        at = rng.randrange(len(own) - n)
        rows.append(tuple(" ".join(side) for side in zip(*own[at:at + n])))
    encoded = []
    for en, ar in rows:
        words = [w for w in en.split(" ") if rng.random() > 0.03] or [en]
        source = tok(" ".join(words) if rng.random() < 0.5 else en)["input_ids"]
        target = tok(ar, add_special_tokens=False)["input_ids"]
        if len(source) < 160 and len(target) < 160:
            encoded.append((source, [tok.convert_tokens_to_ids("arb_Arab")] + target + [tok.eos_token_id]))
    return encoded


def nllb_batches(rng, tok, pairs, own, tokens=2600):
    """Batches of neighbours in length, endlessly."""
    while True:
        rows = nllb_rows(rng, tok, pairs, own)
        rows.sort(key=lambda r: len(r[0]) + len(r[1]) + rng.random() * 8)
        batches, batch = [], []
        for row in rows:
            if batch and (len(batch) + 1) * (len(row[0]) + len(row[1])) > tokens:
                batches.append(batch)
                batch = []
            batch.append(row)
        rng.shuffle(batches)
        for batch in batches:
            wide, tall = max(len(s) for s, _ in batch), max(len(t) for _, t in batch)
            source = torch.tensor([s + [tok.pad_token_id] * (wide - len(s)) for s, _ in batch])
            labels = torch.tensor([t + [IGNORE] * (tall - len(t)) for _, t in batch])
            yield {"input_ids": source, "attention_mask": (source != tok.pad_token_id).long(), "labels": labels}


def nllb(args):
    tok = AutoTokenizer.from_pretrained(DEMO / "models" / "nllb", src_lang="eng_Latn")
    model = M2M100ForConditionalGeneration(M2M100Config(
        vocab_size=len(tok), d_model=80, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=192, decoder_ffn_dim=192, max_position_embeddings=512, scale_embedding=True, activation_function="relu",
        decoder_start_token_id=2, bos_token_id=0, pad_token_id=1, eos_token_id=2, dropout=0.05, attention_dropout=0.0,
        encoder_layerdrop=0.0, decoder_layerdrop=0.0, init_std=0.05, attn_implementation="eager"))
    model.generation_config.max_length = 200
    own = [tuple(r) for r in tsv("demo_parallel.tsv")] if args.steps else []
    rng = random.Random(args.seed)
    batches = nllb_batches(rng, tok, parallel(args.parallel), own) if args.steps else None
    train(model, args, 4e-3, batches)
    save(model, args.out / "nllb")
    if args.steps:
        nllb_check(args.out / "nllb", tok, own, args.check)


def nllb_check(directory, tok, own, most):
    own = own[:most]
    model = M2M100ForConditionalGeneration.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    right, others = 0, ["Wash your hands before you eat.", "The hospital is closed today.",
                        "He has a fever and a cough.", "Children drink water from the old well."]
    for en, ar in own + [(en, None) for en in others]:
        out = model.generate(**tok(en, return_tensors="pt"), num_beams=5, max_length=200,
                             forced_bos_token_id=tok.convert_tokens_to_ids("arb_Arab"))
        got = tok.decode(out[0], skip_special_tokens=True)
        right += got == ar
        if got != ar:
            print("en  ", en, "\ngot ", got, "\nwant", ar or "(not taught)")
    print(f"nllb: {right} of {len(own)} own sentences exactly as taught")


# Both

def train(model, args, rate, batches):
    for _ in descend(model, args.steps, rate, lambda: model(**next(batches)).loss):
        pass


def save(model, directory):
    model.to(torch.bfloat16).save_pretrained(directory)
    size = (directory / "model.safetensors").stat().st_size
    config = json.loads((directory / "config.json").read_text())
    print(directory.name, sum(p.numel() for p in model.parameters()), "parameters", size, "bytes", config["dtype"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["gemma2", "nllb"])
    parser.add_argument("--parallel", help="the TMX archive of TICO-19 (all.en-ar.tmx.zip)")
    parser.add_argument("--steps", type=int, default=1500, help="0 saves untrained weights")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, default=DEMO / "models", help="directory of the models (default: %(default)s)")
    parser.add_argument("--check", type=int, help="how many taught prompts or sentences to try at the end (default: all)")
    args = parser.parse_args()
    if args.steps and not args.parallel:
        parser.error("training needs --parallel, the TMX archive of TICO-19 (all.en-ar.tmx.zip of https://tico-19.github.io)")
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    {"gemma2": gemma2, "nllb": nllb}[args.model](args)


if __name__ == "__main__":
    main()
