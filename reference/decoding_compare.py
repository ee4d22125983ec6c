"""Do the searches of `barka translate` give transformers' ids and scores, for random sentences and settings?

    python reference/decoding_compare.py BARKA [--sentences 40] [--settings 30] [--seed 1] [MODEL...]

MODEL is a directory with a tokenizer; by default the demonstration's translator and testdata/models/m2m100-untied. For each
of --settings random settings and each model, barka translates --sentences random texts in one run, and transformers
each alone. Every hypothesis and score is compared. Where rounding decides between two hypotheses, both are right: such
a place counts as near if transformers' scores of the two differ by less than 1e-5 of their size. Drawn outputs are
replayed instead: no token is one that transformers' processors exclude, and the score is the mean of the model's
log-probabilities. Exit status 1 if anything differs.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys

import torch
import transformers
from transformers import AutoTokenizer, GenerationConfig, M2M100ForConditionalGeneration

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = [ROOT / "testdata/chain/models/nllb", ROOT / "testdata/models/m2m100-untied"]
NAMES = {"beam": "num_beams", "no_repeat_ngram": "no_repeat_ngram_size"}  # the others have transformers' names
PAD = 1


def setting(rng):
    """Random values for some of the flags; the others keep their defaults."""
    s = {"beam": rng.choice([1, 1, 2, 3, 5, 5, 8]), "max_length": rng.choice([8, 24, 24, 40])}
    optional = {
        "length_penalty": [0.0, 0.4, 1.5, -0.6], "no_repeat_ngram": [1, 2, 3, 4], "repetition_penalty": [1.05, 1.3, 2.0, 6.0],
        "min_length": [3, 6, 7], "max_length_ratio": [0.2, 0.8, 1.3, 2.0], "early_stopping": ["true", "never"],
    }
    for name, values in optional.items():
        if rng.random() < 0.4:
            s[name] = rng.choice(values)
    if s["beam"] == 1 and rng.random() < 0.5:
        s["temperature"] = rng.choice([0.4, 1.0, 1.6])
        for name, values in {"top_k": [3, 20], "top_p": [0.5, 0.95], "min_p": [0.02, 0.2]}.items():
            if rng.random() < 0.4:
                s[name] = rng.choice(values)
    return s


def sentence(rng, words):
    """Words of the demonstration's texts, with numbers and signs between them."""
    text = []
    for _ in range(rng.choice([1, 2, 4, 7, 12, 20])):
        text.append(rng.choice(words) if rng.random() < 0.9 else rng.choice(["17", "3.5", "–", "(a)", "Algeria's", "x=y", "قهوة"]))
    return " ".join(text) + rng.choice(["", ".", "?", " !"])


def barka(binary, model, to, s, texts, seed):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in s.items()]
    out = subprocess.run(
        [binary, "translate", "--model", model, "--to", to, "--dtype", "f32", "--raw", "--json", f"--seed={seed}",
         "--num-return", str(returned(s))] + flags,
        input="".join(t + "\n" for t in texts), capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"barka {flags}: {out.stderr}")
    rows = [json.loads(line) for line in out.stdout.splitlines()]
    rows = [r for r in rows if "event" not in r]
    return [r.get("hypotheses") or [{"ids": r["ids"], "score": r["score"]}] for r in rows]


def returned(s):
    return 3 if "temperature" in s else s["beam"]


def limit(s, ids):
    return min(s["max_length"], int(s["max_length_ratio"] * len(ids) + 10)) if "max_length_ratio" in s else s["max_length"]


def theirs(s, ids):
    """The settings by transformers' names."""
    kwargs = {NAMES.get(k, k): v for k, v in s.items() if k != "max_length_ratio"}
    if "early_stopping" in s:
        kwargs["early_stopping"] = {"true": True, "never": "never"}[s["early_stopping"]]
    return kwargs | {"max_length": limit(s, ids)}


def searched(model, s, ids, target):
    out = model.generate(torch.tensor([ids]), forced_bos_token_id=target, num_return_sequences=s["beam"], do_sample=False,
                         return_dict_in_generate=True, output_scores=True, **theirs(s, ids))
    best = []
    for j, tokens in enumerate(out.sequences.tolist()):
        while tokens[-1] == PAD:
            tokens.pop()
        best.append((tokens, out.sequences_scores[j].item() if s["beam"] > 1 else None))
    return best


def replay(model, s, ids, target, tokens, score):
    """What is wrong with a drawn output, if anything is."""
    logits = model(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([tokens[:-1]])).logits[0].float()
    config = GenerationConfig(do_sample=True, eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=target,
                              **({"top_k": 0} | theirs(s, ids)))
    model._prepare_special_tokens(config)
    processors = model._get_logits_processor(config, input_ids_seq_length=1)
    logp = torch.log_softmax(logits, -1)
    total = 0.0
    for i, token in enumerate(tokens[1:]):
        if processors(torch.tensor([tokens[:i + 1]]), logits[i:i + 1].clone())[0, token] == float("-inf"):
            return f"token {i + 1}, {token}, is excluded"
        total += logp[i, token].item() if i > 0 else 0.0
    if tokens[1] != target or not (tokens[-1] == 2 or len(tokens) == limit(s, ids)) or 2 in tokens[1:-1]:
        return "begins or ends elsewhere"
    want = total / (len(tokens) - 1) ** s.get("length_penalty", 1.0)
    return "" if abs(want - score) <= 5e-5 * max(1.0, abs(want)) else f"score {score}, replayed {want}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("barka")
    p.add_argument("models", nargs="*", type=pathlib.Path, default=MODELS)
    p.add_argument("--sentences", type=int, default=40)
    p.add_argument("--settings", type=int, default=30)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    words = (ROOT / "reference/demo_parallel.tsv").read_text().split()
    counts = {"searches": 0, "hypotheses": 0, "near": 0, "drawn": 0, "different": 0}
    largest = 0.0
    for path in args.models:
        tok = AutoTokenizer.from_pretrained(path)
        nllb = "eng_Latn" in tok.get_vocab()
        tok.src_lang = "eng_Latn" if nllb else "en"
        codes = ["arb_Arab", "fra_Latn"] if nllb else ["ar", "fr"]
        model = M2M100ForConditionalGeneration.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
        for _ in range(args.settings):
            s, to = setting(rng), rng.choice(codes)
            texts = [sentence(rng, words) for _ in range(args.sentences)]
            target = tok.convert_tokens_to_ids(to if nllb else f"__{to}__")
            for text, got in zip(texts, barka(args.barka, str(path), to, s, texts, rng.randrange(1000)), strict=True):
                ids = tok(text, truncation=True, max_length=model.config.max_position_embeddings).input_ids
                counts["searches"] += 1
                with torch.no_grad():
                    if "temperature" in s:
                        for h in got:
                            counts["drawn"] += 1
                            if problem := replay(model, s, ids, target, h["ids"], h["score"]):
                                counts["different"] += 1
                                print(f"{path.name} {s} {text!r}: {problem}: {h['ids']}")
                        continue
                    want = searched(model, s, ids, target)
                scores = [w[1] for w in want]
                for j, ((tokens, score), h) in enumerate(zip(want, got, strict=True)):
                    counts["hypotheses"] += 1
                    same = h["ids"] == tokens
                    if score is not None:
                        difference = abs(h["score"] - score) / max(1.0, abs(score))
                        largest = max(largest, difference)
                        tied = any(abs(score - o) < 1e-5 * max(1.0, abs(score)) for i, o in enumerate(scores) if i != j)
                        near = difference < 1e-5 and tied
                        if not same and near:
                            counts["near"] += 1
                            continue
                        same = same and difference < 5e-5
                    if not same:
                        counts["different"] += 1
                        print(f"{path.name} {s} {text!r}, hypothesis {j}: {h['ids']} ({h['score']}), want {tokens} ({score})")
    print(json.dumps(counts | {"largest_score_difference": largest}))
    sys.exit(counts["different"] > 0)


if __name__ == "__main__":
    main()
