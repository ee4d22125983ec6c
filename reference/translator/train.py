"""Trains a small M2M-100 that translates a little between English and Arabic, with a tokenizer in NLLB's form.

    python reference/translator/train.py --data DATA --out DIR [--more ENGLISH ARABIC]... [--steps N] [--minutes M]
    python reference/translator/train.py --only ENGLISH OTHER --to fra_Latn --out DIR

DATA/parallel holds TICO-19 and NTREX-128 (corpus.py). --more adds files of lines, such as Tatoeba's
testsets/ara-eng/tatoeba-test-v2021-08-07.{eng,ara} of github.com/Helsinki-NLP/OPUS-MT-testsets (CC-BY 2.0 FR);
with a file ARABIC.labels beside them, only lines with the label ara are read. DIR becomes a checkpoint of
transformers, with dev.en, dev.ar, test.en and test.ar beside it. --only has another language in place of Arabic and
nothing but two files of lines; docs/another-language.md has an example. The model exercises checks, ladder and metrics of
`barka translate`; nobody should use its translations.

The same seed and steps give the same weights on one machine; --minutes, if the time runs out first, does not.
"""

import argparse
import copy
import functools
import math
import pathlib
import random
import time

import torch
from transformers import AutoTokenizer, M2M100Config, M2M100ForConditionalGeneration

import corpus
from demo_tokenizers import LANGUAGES
from demo_tokenizers import nllb as train_tokenizer

ENGLISH = "eng_Latn"
LONGEST = 120  # tokens of a side in training
IGNORE = -100
WARMUP = 400  # steps


class Encoder:
    """Ids of a text, with some words cut in two at random: a word is then seen in several spellings."""

    def __init__(self, directory, other):
        self.other = other  # the language beside English
        self.tok = AutoTokenizer.from_pretrained(directory, src_lang=ENGLISH)
        backend = self.tok.backend_tokenizer
        self.normal = backend.normalizer.normalize_str
        self.piece = functools.cache(lambda s: [t.id for t in backend.model.tokenize(s)])
        self.language = {code: self.tok.convert_tokens_to_ids(code) for code in (ENGLISH, other)}

    def ids(self, rng, text, cut):
        out = []
        for word in self.normal(text).split():
            word = "▁" + word
            if len(word) > 3 and rng.random() < cut:
                at = rng.randrange(2, len(word))
                out += self.piece(word[:at]) + self.piece(word[at:])
            else:
                out += self.piece(word)
        return out

    def row(self, rng, pair, reverse, cut):
        languages = (self.other, ENGLISH) if reverse else (ENGLISH, self.other)
        sides = zip(languages, reversed(pair) if reverse else pair)
        return tuple([self.language[code]] + self.ids(rng, text, cut) + [self.tok.eos_token_id] for code, text in sides)

    def check(self, texts):
        """Stops unless the ids of texts are the tokenizer's own."""
        for text in texts:
            if self.tok(text, add_special_tokens=False)["input_ids"] != self.ids(random.Random(0), text, 0):
                raise SystemExit(f"the ids of {text!r} are not the tokenizer's")


def batches_of(rows, tokens, rng):
    """Rows of similar lengths together, at most this many tokens per batch, padding counted."""
    rows = sorted(rows, key=lambda r: len(r[0]) + len(r[1]) + 8 * rng.random())
    out, batch, wide, tall = [], [], 0, 0
    for s, t in rows:
        wide, tall = max(wide, len(s)), max(tall, len(t))
        if batch and (len(batch) + 1) * (wide + tall) > tokens:
            out, batch, wide, tall = out + [batch], [], len(s), len(t)
        batch.append((s, t))
    return out + [batch]


def tensors(batch, pad):
    wide, tall = max(len(s) for s, _ in batch), max(len(t) for _, t in batch)
    source = torch.tensor([s + [pad] * (wide - len(s)) for s, _ in batch])
    labels = torch.tensor([t + [IGNORE] * (tall - len(t)) for _, t in batch])
    return {"input_ids": source, "attention_mask": (source != pad).long(), "labels": labels}


def endless(enc, pairs, args):
    """Batches without end; each epoch varies, cuts and reverses other pairs."""
    rng = random.Random(args.seed)
    while True:
        varied = [corpus.vary(rng, *p) for p in pairs] + ([] if args.only else corpus.sums(rng, len(pairs) // 12))
        rows = [enc.row(rng, p, rng.random() < args.reverse, 0.1) for p in varied]
        batches = batches_of([r for r in rows if max(map(len, r)) <= LONGEST], args.tokens, rng)
        rng.shuffle(batches)
        yield from (tensors(b, enc.tok.pad_token_id) for b in batches)


def loss_of(model, batch, smoothing):
    labels = batch.pop("labels")
    inputs = torch.cat([torch.full_like(labels[:, :1], 2), labels[:, :-1].clamp(min=1)], 1)  # a label to ignore is padding
    logits = model(**batch, decoder_input_ids=inputs, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, label_smoothing=smoothing)


@torch.no_grad()
def dev_loss(model, enc, dev):
    model.eval()
    rows = [enc.row(random.Random(0), p, False, 0) for p in dev]
    batches = batches_of([r for r in rows if max(map(len, r)) <= LONGEST], 3000, random.Random(0))
    sums = [(loss_of(model, tensors(b, enc.tok.pad_token_id), 0).item(), sum(len(t) for _, t in b)) for b in batches]
    return sum(loss * n for loss, n in sums) / sum(n for _, n in sums)


def new_model(enc, args):
    model = M2M100ForConditionalGeneration(M2M100Config(
        vocab_size=len(enc.tok), d_model=args.width, encoder_layers=3, decoder_layers=3, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=2 * args.width, decoder_ffn_dim=2 * args.width, max_position_embeddings=512,
        scale_embedding=True, activation_function="relu", decoder_start_token_id=2, bos_token_id=0, pad_token_id=1, eos_token_id=2,
        dropout=0.1, attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0,
        init_std=args.width ** -0.5))
    model.generation_config.max_length = 200
    return model


def train(model, enc, pairs, dev, args):
    opt = torch.optim.AdamW(model.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min((n + 1) / WARMUP, (WARMUP / (n + 1)) ** 0.5))
    start, best, batches = time.process_time(), math.inf, endless(enc, pairs, args)
    # The mean of recent weights is better than the last ones, at whatever step training ends.
    mean = copy.deepcopy(model).requires_grad_(False)
    model.train()
    for step in range(1, args.steps + 1):
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss = loss_of(model, next(batches), 0.1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        schedule.step()
        opt.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), max(0.003, 10 / (10 + step)))
        minutes = (time.process_time() - start) / 60
        last = step == args.steps or minutes > args.minutes
        if step % args.every == 0 or last:
            dev_now = dev_loss(mean, enc, dev)
            print(f"step {step}: loss {loss.item():.3f}, dev loss {dev_now:.4f}, {minutes:.1f} minutes of one core", flush=True)
            if not math.isfinite(dev_now):
                raise SystemExit("the loss is not finite; try a smaller --rate")
            if dev_now < best:
                best = dev_now
                mean.save_pretrained(args.out)
        if last:
            break
    return best


def samples(enc, args, test):
    model = M2M100ForConditionalGeneration.from_pretrained(args.out).eval()
    for en, ar in test[:3]:
        out = model.generate(**enc.tok(en, return_tensors="pt"), num_beams=5, max_length=200, forced_bos_token_id=enc.language[enc.other])
        print(f"\n{en}\n{ar}\n{enc.tok.decode(out[0], skip_special_tokens=True)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="directory with parallel/tico19 and parallel/ntrex")
    parser.add_argument("--only", nargs=2, metavar=("ENGLISH", "OTHER"), help="files of parallel lines in place of --data")
    parser.add_argument("--to", default="arb_Arab", choices=LANGUAGES, help="the language of OTHER (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--more", nargs=2, action="append", default=[], metavar=("ENGLISH", "ARABIC"), help="more parallel lines")
    parser.add_argument("--steps", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=40, help="most minutes of one core (default: %(default)s)")
    parser.add_argument("--pieces", type=int, default=5000, help="size of the vocabulary (default: %(default)s)")
    parser.add_argument("--width", type=int, default=192, help="dimension of the model (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=2500, help="tokens per batch, of both sides (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--reverse", type=float, default=0, help="share of rows into English (default: %(default)s)")
    parser.add_argument("--bf16", action="store_true", help="multiply in bfloat16: twice as fast on a CPU with its instructions")
    parser.add_argument("--every", type=int, default=250, help="steps between measurements on dev (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    if not (args.data or args.only):
        parser.error("--data or --only is missing")
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    held = [corpus.others(*args.only)] if args.only else [corpus.tico(args.data), corpus.ntrex(args.data)]
    pairs, dev, test = corpus.split(held, [corpus.others(*files) for files in args.more] + ([] if args.only else [corpus.terms(args.data)]))
    print(f"{len(pairs)} pairs to train on, {len(dev)} dev, {len(test)} test")
    made = [] if args.only else corpus.sums(random.Random(args.seed), 2000)
    train_tokenizer([s for p in pairs + made for s in p], args.out, size=args.pieces, signs_alone=True)
    for name, part in (("dev", dev), ("test", test)):
        for suffix, side in (("en", 0), (args.to.split("_")[0] if args.only else "ar", 1)):
            (args.out / f"{name}.{suffix}").write_text("".join(p[side] + "\n" for p in part), encoding="utf-8")
    enc = Encoder(args.out, args.to)
    enc.check([s for p in pairs[::50] for s in p])
    model = new_model(enc, args)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(enc.tok)} tokens")
    print(f"best dev loss {train(model, enc, pairs, dev, args):.4f}")
    samples(enc, args, test)


if __name__ == "__main__":
    main()
