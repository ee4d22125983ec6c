"""Runs the whole path on published weights and compares it with transformers and peft.

    python run.py --barka BIN --work DIR --data DIR [--doc FILE] [CHECK…]

run.sh installs everything and calls this script. The recipe is recipe.yaml. CHECKS names the checks;
without names all of them run. The exit status is 1 if one fails. --doc writes docs/real-models.md:
the counts of each stage, the result of each check, and the first twenty rows of each stage.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import peers  # noqa: E402
import document  # noqa: E402
import weights  # noqa: E402

ENGLISH, ARABIC = "newstest2019-src.eng.txt", "newstest2019-ref.arb.txt"

# Rows that wiki and convert must give: they depend on no model and no machine.
EXPECTED = {
    "1-passages": (102, 14),
    "2-instructions-gsm8k": (40, 0),
    "2-instructions-copa": (40, 0),
    "2-instructions-boolq": (32, 0),
    "2-instructions-arc-easy-cot": (40, 0),
}


class Failed(Exception):
    """A check found a difference that is too large."""


class Path:
    """The directories of one run, and the ways to call barka and the scripts beside this one."""

    def __init__(self, args):
        self.barka, self.work, self.data = args.barka.resolve(), args.work.resolve(), args.data.resolve()
        self.model = self.work / "model"
        self.out = self.work / "run"

    def call(self, *command, stdin=None, shell_input=None):
        done = subprocess.run([str(c) for c in command], cwd=self.work, capture_output=True, text=True, encoding="utf-8",
                              stdin=stdin, input=shell_input)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return done

    def tool(self, *words, text=None):
        return self.call(self.barka, *words, "--quiet", shell_input=text).stdout

    def script(self, name, *words, stdin=None):
        """The verdict that a comparison script prints last."""
        done = self.call(sys.executable, HERE.parent / name, *words, stdin=stdin)
        return done.stderr.strip().splitlines()[-1]


def lines(path, name, count, longest=220):
    """The first `count` lines of a side of NTREX that are not long."""
    text = (path.data / "parallel/ntrex" / name).read_text(encoding="utf-8").splitlines()
    return [t.strip() for t in text if 20 < len(t.strip()) <= longest][:count]


def check_counts(path):
    got = {}
    for name, want in EXPECTED.items():
        manifest = json.loads((path.out / name / "manifest.json").read_text())
        got[name] = document.counts(manifest)
        if got[name] != want:
            raise Failed(f"{name}: {got[name][0]} rows and {got[name][1]} rejected, expected {want[0]} and {want[1]}")
    return f"{len(got)} datasets have the expected numbers of rows"


def check_tokens(path):
    tok = peers.tokenizer(path.model)
    texts = lines(path, ENGLISH, 400) + lines(path, ARABIC, 400)
    got = path.tool("tokenize", "--model", path.model, text="\n".join(texts) + "\n").splitlines()
    want = [tok(t)["input_ids"] for t in texts]
    for text, g, w in zip(texts, got, want, strict=True):
        if g != ",".join(map(str, w)):
            raise Failed(f"{text!r}: {g}, expected {w}")
    back = path.tool("tokenize", "--model", path.model, "--decode", text="\n".join(got) + "\n").splitlines()
    # transformers would otherwise glue " ..." and " 's" to the word before, whatever the text was.
    if back != [tok.decode(w, clean_up_tokenization_spaces=False) for w in want]:
        raise Failed("decoded lines differ")
    return f"{sum(map(len, want)):,} ids of {len(texts)} lines, English and Arabic, and the decoded text: equal"


def greedy(model, tok, ids, most):
    """Greedy ids, and their text without control tokens, as transformers gives them."""
    import torch
    with torch.no_grad():
        out = model.generate(torch.tensor([ids]), max_new_tokens=most, do_sample=False)[0].tolist()[len(ids):]
    return out, tok.decode(out, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def check_text(path, most=48):
    """Greedy answers to chat prompts, and continuations of raw Arabic and English lines, in float32."""
    peers.start(os.cpu_count())
    model, tok = peers.load(path.model), peers.tokenizer(path.model)
    questions = ["What is the capital of Algeria?", "ما هي عاصمة الجزائر؟", "Write one sentence about alchemy.", "List three colours.",
                 "Translate to Arabic: Good morning.", "اكتب جملة عن البحر."]
    chats = [[{"role": "user", "content": q}] for q in questions]
    chats += [[{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": q}] for q in questions]
    chats += [[{"role": "user", "content": q}, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
              for q in questions]
    raw = lines(path, ENGLISH, 9, 120) + lines(path, ARABIC, 9, 120)
    ends = {tok.eos_token_id, tok.convert_tokens_to_ids("<|im_end|>"), model.generation_config.eos_token_id}
    total, differ = 0, []
    for flags, prompts, encode in (
            ([], [{"messages": c} for c in chats],
             lambda p: tok.apply_chat_template(p["messages"], add_generation_prompt=True, return_dict=False)),
            (["--raw"], [{"prompt": t} for t in raw], lambda p: tok(p["prompt"])["input_ids"])):
        file = path.work / "prompts.jsonl"
        file.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in prompts), encoding="utf-8")
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
    return f"{len(chats)} chat answers and {len(raw)} continuations, {total:,} greedy tokens in float32: ids and text equal"


def check_scores(path):
    requests = [{"context": "", "continuations": [t]} for t in lines(path, ENGLISH, 100) + lines(path, ARABIC, 100)]
    asked, answered = path.work / "requests.jsonl", path.work / "scores.jsonl"
    asked.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in requests), encoding="utf-8")
    answered.write_text(path.tool("score", "--model", path.model, "--dtype", "f32", text=asked.read_text(encoding="utf-8")),
                        encoding="utf-8")
    with open(asked, encoding="utf-8") as f:
        return path.script("score_compare.py", "--model", path.model, "--compare", answered, "--tolerance", 2e-3, stdin=f)


def check_training(path):
    """Four optimiser steps in float32 from the same adapter."""
    rows = document.rows(path.out / "5-mix")[:32]
    data = path.work / "rows.jsonl"
    data.write_text("".join(json.dumps({"messages": [{"role": m["role"], "content": m["content"]} for m in r["messages"]]},
                                       ensure_ascii=False) + "\n"
                            for r in rows), encoding="utf-8")
    common = ["--model", path.model, "--data", data, "--rank", 8, "--alpha", 16, "--batch", 8, 
              "--max-length", 256, "--dtype", "f32", "--restart"]
    start, run = path.work / "train-start", path.work / "train-run"
    path.tool("train", *common, "--lr", "1e-30", "--out", start)
    path.tool("train", *common, "--out", run)
    return path.script("train_compare.py", "--model", path.model, "--data", data, "--run", run, "--adapter", start, "--end", "<|im_end|>",
                       "--threads", os.cpu_count())


def check_merge(path):
    return path.script("check_merged.py", "--base", path.model, "--adapter", path.out / "6-adapter", "--merged", path.out / "7-merged")


CHECKS = {f.__name__.removeprefix("check_"): f for f in (check_counts, check_tokens, check_text, check_scores, check_training, check_merge)}


def prepare(path):
    """The directory in which the recipe's paths exist."""
    weights.smollm2(path.model)
    for name, target in (("data", path.data), ("recipe.yaml", HERE / "recipe.yaml")):
        with contextlib.suppress(FileNotFoundError):
            (path.work / name).unlink()
        (path.work / name).symlink_to(target)
    if not (path.work / "bench").exists():
        path.tool("eval", "convert", "data/oall/acegpt", "bench")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--barka", "--work", "--data"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--doc", type=pathlib.Path)
    parser.add_argument("check", nargs="*", choices=[[], *CHECKS])
    args = parser.parse_args()
    path = Path(args)
    prepare(path)
    began = time.monotonic()
    done = subprocess.run([path.barka, "run", "recipe.yaml", "--out", path.out], cwd=path.work)
    if done.returncode != 0:
        sys.exit(f"barka run: exit {done.returncode}")
    seconds = time.monotonic() - began
    found, failed = {}, False
    for name in args.check or CHECKS:
        try:
            found[name] = CHECKS[name](path)
        except Failed as e:
            found[name], failed = f"FAILED: {e}", True
        print(f"{name}: {found[name]}", flush=True)
    if args.doc:
        document.write(args.doc, path, found, seconds)
    sys.exit(failed)


if __name__ == "__main__":
    main()
