"""Log-likelihoods with transformers, in the lines of `barka score`.

    python reference/score_compare.py --model DIR [--adapter DIR] [--dtype f32] < REQUESTS.jsonl
    python reference/score_compare.py --model DIR --compare SCORES.jsonl < REQUESTS.jsonl

A request is {"context", "continuations"}; the answer {"logprobs", "tokens", "greedy"} has, for each
continuation, the sum of its tokens' natural log-probabilities, their number, and whether each is the
most likely one. Context and continuation are encoded together, and the tokens after the context's own
number of tokens are scored. With --compare, SCORES are the answers of barka to the same requests.
"""

import argparse

import torch

import peers


def pair(tok, context, continuation):
    """Context ids and continuation ids."""
    ids = tok(context)["input_ids"] or [tok.eos_token_id]
    if context == "":
        return ids, tok(continuation, add_special_tokens=False)["input_ids"]
    return ids, tok(context + continuation)["input_ids"][len(ids):]


def score(model, tok, context, continuation):
    ids, target = pair(tok, context, continuation)
    if not target:
        return 0.0, 0, True
    rows = torch.log_softmax(peers.logits(model, (ids + target)[:-1])[len(ids) - 1:], -1)
    greedy = rows.argmax(-1).tolist() == target
    return sum(rows[i, t].item() for i, t in enumerate(target)), len(target), greedy


def answer(model, tok, request):
    scored = [score(model, tok, request["context"], c) for c in request["continuations"]]
    return {"logprobs": [s[0] for s in scored], "tokens": [s[1] for s in scored], "greedy": [s[2] for s in scored]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--dtype", choices=peers.DTYPES, default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compare")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    peers.start(args.threads)
    model, tok, requests = peers.load(args.model, args.dtype, args.adapter), peers.tokenizer(args.model), peers.jsonl("-")
    if not args.compare:
        for r in requests:
            peers.write(answer(model, tok, r))
        return
    theirs = peers.jsonl(args.compare)
    if len(theirs) != len(requests):
        raise SystemExit(f"{len(requests)} requests, but {len(theirs)} answers in {args.compare}")
    worst = 0.0
    for n, (r, got) in enumerate(zip(requests, theirs), 1):
        want = answer(model, tok, r)
        for key in ("tokens", "greedy"):
            if got[key] != want[key]:
                raise SystemExit(f"request {n}: {key} is {got[key]}, expected {want[key]}")
        worst = max([worst] + [abs(a - b) for a, b in zip(got["logprobs"], want["logprobs"])])
    peers.verdict(f"{len(requests)} requests", worst, args.tolerance)


if __name__ == "__main__":
    main()
