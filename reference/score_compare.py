"""Computes log-likelihoods with transformers, in the format of `barka score`, and compares them.

    python reference/score_compare.py --model DIR [--adapter DIR] [--dtype f32] < REQUESTS.jsonl
    python reference/score_compare.py --model DIR --compare SCORES.jsonl [--float64] < REQUESTS.jsonl
    python reference/score_compare.py --requests FILE… > REQUESTS.jsonl

A request is {"context", "continuations"}. The answer {"logprobs", "tokens", "greedy", "token_logprobs"}
has, for each continuation, the sum of its tokens' natural log-probabilities, their number, whether each
is the most likely one, and the summands. Context and continuation are encoded together, and the tokens
after the context's own number of tokens are scored.

With --compare, SCORES are the answers of `barka score --per-token`, with or without --tokens, to the
same requests. The script prints the differences from torch, per token and per sum. Ranks must equal
torch's; if other logits are within 2e-4 of a token's own, any of the possible ranks is accepted. With
--float64 it also computes everything in float64, and prints the rounding errors of both engines.

--requests makes requests of text files: every line of 40 characters or more, with its first words as
the context, and every LONG characters of a whole file, for sums of many tokens.
"""

import argparse
import pathlib
import sys

import torch

import peers


def pair(tok, context, continuation):
    """Context ids and continuation ids."""
    ids = tok(context)["input_ids"] or [tok.eos_token_id]
    if context == "":
        return ids, tok(continuation, add_special_tokens=False)["input_ids"]
    return ids, tok(context + continuation)["input_ids"][len(ids):]


def score(model, tok, context, continuation):
    """The continuation's tokens: log-probabilities, whether each is the most likely one, least and largest ranks."""
    ids, target = pair(tok, context, continuation)
    if not target:
        return [], True, []
    with torch.no_grad():
        logits = model(torch.tensor([(ids + target)[:-1]])).logits[0, len(ids) - 1:]
    rows = torch.log_softmax(logits.float() if logits.dtype == torch.bfloat16 else logits, -1)
    own = rows[range(len(target)), target].unsqueeze(-1)
    # The token itself is within the bound: it counts once.
    ranks = list(zip((1 + (rows > own + 2e-4).sum(-1)).tolist(), (rows > own - 2e-4).sum(-1).tolist()))
    return [rows[i, t].item() for i, t in enumerate(target)], rows.argmax(-1).tolist() == target, ranks


def answer(model, tok, request):
    scored = [score(model, tok, request["context"], c) for c in request["continuations"]]
    return {"logprobs": [sum(s) for s, _, _ in scored], "tokens": [len(s) for s, _, _ in scored], "greedy": [g for _, g, _ in scored],
            "token_logprobs": [s for s, _, _ in scored], "ranks": [r for _, _, r in scored]}


def ranks(ours, theirs):
    """Compares the ranks of two lists of answers."""
    tokens = exact = 0
    for n, (a, b) in enumerate(zip(ours, theirs), 1):
        for got, want in zip(a["token_scores"], b["ranks"]):
            for t, (least, most) in zip(got, want, strict=True):
                if not least <= t["rank"] <= most:
                    raise SystemExit(f"request {n}: token {t} has rank {least} to {most} in torch")
                tokens += 1
                exact += least == most
    print(f"{tokens} ranks are torch's, {tokens - exact} of them open within rounding", file=sys.stderr)


def differences(ours, theirs):
    """(largest and mean per token, largest per sum, largest per sum over its number of tokens) of two lists of answers."""
    tokens, sums, each = [0.0], [0.0], [0.0]
    for a, b in zip(ours, theirs):
        for x, y, n in zip(a["logprobs"], b["logprobs"], b["tokens"]):
            sums.append(abs(x - y))
            each.append(abs(x - y) / max(1, n))
        for x, y in zip(a.get("token_logprobs", []), b["token_logprobs"]):
            tokens += [abs(p - q) for p, q in zip(x, y)]
    return max(tokens), sum(tokens) / max(1, len(tokens) - 1), max(sums), max(each)


def show(what, ours, theirs):
    most, mean, total, each = differences(ours, theirs)
    tokens = f"per token at most {most:.2g}, in the mean {mean:.2g}; " if "token_logprobs" in ours[0] else ""
    print(f"{what}: {tokens}per sum at most {total:.2g}, which is {each:.2g} per token of it at most", file=sys.stderr)


LONG = 4000


def requests_of(paths):
    """Yields requests from text files."""
    for path in paths:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        for piece in text.splitlines() + [text[i:i + LONG] for i in range(0, len(text), LONG)]:
            at = piece.find(" ", 20)
            if len(piece) >= 40 and at > 0:
                yield {"context": piece[:at], "continuations": [piece[at:]]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--requests", nargs="+", metavar="FILE", help="print requests made of these texts")
    parser.add_argument("--adapter")
    parser.add_argument("--dtype", choices=peers.DTYPES, default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compare")
    parser.add_argument("--float64", action="store_true", help="with --compare: how far barka and torch are from float64")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of a sum")
    args = parser.parse_args()
    if args.requests:
        for r in requests_of(args.requests):
            peers.write(r)
        return
    if not args.model:
        parser.error("--model is missing")
    peers.start(args.threads)
    model, tok, requests = peers.load(args.model, args.dtype, args.adapter), peers.tokenizer(args.model), peers.jsonl("-")
    if not args.compare:
        for r in requests:
            peers.write(answer(model, tok, r))
        return
    ours = peers.jsonl(args.compare)
    if len(ours) != len(requests):
        raise SystemExit(f"{len(requests)} requests, but {len(ours)} answers in {args.compare}")
    theirs = [answer(model, tok, r) for r in requests]
    for n, (got, want) in enumerate(zip(ours, theirs), 1):
        for key in ("tokens", "greedy"):
            if got[key] != want[key]:
                raise SystemExit(f"request {n}: {key} is {got[key]}, expected {want[key]}")
    print(f"{sum(sum(a['tokens']) for a in theirs)} tokens of {sum(len(a['tokens']) for a in theirs)} continuations", file=sys.stderr)
    show("barka and torch", ours, theirs)
    if "token_scores" in ours[0]:
        ranks(ours, theirs)
    if args.float64:
        model.double()
        exact = [answer(model, tok, r) for r in requests]
        show("barka and float64", ours, exact)
        show("torch and float64", theirs, exact)
    peers.verdict(f"{len(requests)} requests", differences(ours, theirs)[2], args.tolerance)


if __name__ == "__main__":
    main()
