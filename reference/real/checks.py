"""Checks of a published model that run.py and gguf_run.py share: barka beside transformers and peft."""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import peers  # noqa: E402

ENGLISH, ARABIC = "newstest2019-src.eng.txt", "newstest2019-ref.arb.txt"


class Failed(Exception):
    """A check found a difference that is too large."""


class Path:
    """The directories of one run, and the ways to call barka and the scripts.

    model is what barka reads, reference the same model in Hugging Face layout, chat_format the format that a base
    model without a template is trained in, end the token that ends its turns.
    """

    chat_format, end = None, "<|im_end|>"

    def __init__(self, args):
        self.barka, self.work, self.data = args.barka.resolve(), args.work.resolve(), args.data.resolve()
        self.model = self.reference = self.work / "model"
        self.out = self.work / "run"

    def call(self, *command, stdin=None, text=None, **more):
        """A finished process of a command that has to succeed."""
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, encoding="utf-8",
                              stdin=stdin, input=text, **{"cwd": self.work} | more)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
        return done

    def tool(self, *words, text=None):
        return self.call(self.barka, *words, "--quiet", text=text).stdout

    def script(self, name, *words, stdin=None):
        """The verdict that a comparison script prints last."""
        return self.call(sys.executable, HERE.parent / name, *words, stdin=stdin).stderr.strip().splitlines()[-1]

    def write(self, name, rows):
        """A file of JSON lines below work."""
        file = self.work / name
        file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
        return file


def side(path, name):
    """All lines of a side of NTREX."""
    return [t.strip() for t in (path.data / "parallel/ntrex" / name).read_text(encoding="utf-8").splitlines()]


def lines(path, name, count, longest=220):
    """The first `count` lines of a side of NTREX that are not long."""
    return [t for t in side(path, name) if 20 < len(t) <= longest][:count]


def tokens(path, texts):
    tok = peers.tokenizer(path.reference)
    got = path.tool("tokenize", "--model", path.model, text="\n".join(texts) + "\n").splitlines()
    want = [tok(t)["input_ids"] for t in texts]
    for text, g, w in zip(texts, got, want, strict=True):
        if g != ",".join(map(str, w)):
            raise Failed(f"{text!r}: {g}, expected {w}")
    back = path.tool("tokenize", "--model", path.model, "--decode", text="\n".join(got) + "\n").splitlines()
    # transformers would otherwise glue " ..." and " 's" to the word before, whatever the text was.
    for b, w in zip(back, want, strict=True):
        if b != (plain := tok.decode(w, clean_up_tokenization_spaces=False)):
            raise Failed(f"decoded {b!r}, expected {plain!r}")
    return f"{sum(map(len, want)):,} ids of {len(texts):,} lines, English and Arabic, and the decoded text: equal"


def greedy(model, tok, ids, most):
    """Greedy ids, and their text without control tokens, as transformers gives them."""
    import torch
    with torch.no_grad():
        out = model.generate(torch.tensor([ids]), max_new_tokens=most, do_sample=False)[0].tolist()[len(ids):]
    return out, tok.decode(out, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def conversations():
    questions = ["What is the capital of Algeria?", "ما هي عاصمة الجزائر؟", "Write one sentence about alchemy.", "List three colours.",
                 "Translate to Arabic: Good morning.", "اكتب جملة عن البحر."]
    chats = [[{"role": "user", "content": q}] for q in questions]
    chats += [[{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": q}] for q in questions]
    return chats + [[{"role": "user", "content": q}, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
                    for q in questions]


def text(path, most=48):
    """Greedy continuations of raw Arabic and English lines, and, unless it is a base model, answers to chat prompts, in float32."""
    peers.start(os.cpu_count())
    model, tok = peers.load(path.reference), peers.tokenizer(path.reference)
    chats = [] if path.chat_format else conversations()
    raw = lines(path, ENGLISH, 9, 120) + lines(path, ARABIC, 9, 120)
    stops = model.generation_config.eos_token_id
    ends = {tok.eos_token_id, tok.convert_tokens_to_ids(path.end), *(stops if isinstance(stops, list) else [stops])}
    total, differ = 0, []
    for flags, prompts, encode in (
            ([], [{"messages": c} for c in chats],
             lambda p: tok.apply_chat_template(p["messages"], add_generation_prompt=True, return_dict=False)),
            (["--raw"], [{"prompt": t} for t in raw], lambda p: tok(p["prompt"])["input_ids"])):
        if not prompts:
            continue
        file = path.write("prompts.jsonl", prompts)
        answers = path.tool("generate", "--model", path.model, "--dtype", "f32", "--input", file, "--max-tokens", most, "--json", *flags)
        answers = [a for a in map(json.loads, answers.splitlines()) if "text" in a]
        for prompt, answer in zip(prompts, answers, strict=True):
            ids = encode(prompt)
            if len(ids) != answer["prompt_tokens"]:
                raise Failed(f"{prompt}: {answer['prompt_tokens']} prompt tokens, expected {len(ids)}")
            want, text = greedy(model, tok, ids, most)
            # Programs differ in whether they list the token that ends a text.
            want, got = ([t for t in found if t not in ends] for found in (want, answer["tokens"]))
            total += len(want)
            if got != want or answer["text"].strip() != text.strip():
                differ.append(f"{prompt}: {got} {answer['text']!r}, expected {want} {text!r}")
    if differ:
        raise Failed(f"{len(differ)} of {len(chats) + len(raw)} texts differ, such as {differ[0]}")
    answers = f"{len(chats)} chat answers and " if chats else ""
    return f"{answers}{len(raw)} continuations, {total:,} greedy tokens in float32: ids and text equal"


def training(path, rows, *options):
    """Optimiser steps in float32 from the same adapter. The row of the first run only makes it write that adapter."""
    common = ["--model", path.model, "--rank", 8, "--alpha", 16, "--max-length", 512, "--dtype", "f32", "--restart", *options]
    if path.chat_format:
        common += ["--chat-format", path.chat_format]
    data, start, run = path.write("rows.jsonl", rows), path.work / "train-start", path.work / "train-run"
    path.tool("train", *common, "--data", path.write("row.jsonl", rows[:1]), "--lr", "1e-30", "--out", start)
    path.tool("train", *common, "--data", data, "--out", run)
    return path.script("train_compare.py", "--model", path.reference, "--data", data, "--run", run, "--adapter", start,
                       "--end", path.end, "--threads", os.cpu_count())
