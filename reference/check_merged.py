"""Loads a model that `barka merge` wrote and compares it with its base and adapter in peft.

    python reference/check_merged.py --base DIR --adapter DIR --merged DIR [--text FILE]

Both run in float32 on the lines of FILE, or on random ids. A merged bfloat16 model has its weights
rounded once more, which the tolerance must allow for: by default 1e-3 of the largest logit, or 0.05.
The weights themselves are compared with peft's merge in float32, rounded once to the stored type.
"""

import argparse

import torch

import peers


def prompts(args, vocabulary):
    if not args.text:
        return [torch.randint(4, vocabulary, (n,)).tolist() for n in (1, 7, 33, 64)]
    tok = peers.tokenizer(args.base)
    return [tok(line)["input_ids"] for line in open(args.text, encoding="utf-8") if line.strip()]


def weights(args, stored):
    """How many of the merged weights are not those of peft, rounded once, and how far they are off at most."""
    model = peers.load(args.base, adapter=args.adapter).merge_and_unload()
    want = {n: p.detach().to(stored).float() for n, p in model.named_parameters()}
    got = {n: p.detach().float() for n, p in peers.AutoModelForCausalLM.from_pretrained(args.merged, dtype=stored).named_parameters()}
    other = sum((want[n] != got[n]).sum().item() for n in want)
    worst = max((want[n] - got[n]).abs().max().item() for n in want)
    return f"{other} of {sum(p.numel() for p in want.values())} merged weights are not peft's to the bit, the worst off by {worst:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--base", "--adapter", "--merged"):
        parser.add_argument(name, required=True)
    parser.add_argument("--text")
    parser.add_argument("--tolerance", type=float)
    args = parser.parse_args()
    peers.start()
    stored = peers.AutoModelForCausalLM.from_pretrained(args.merged, dtype="auto").dtype
    print(weights(args, stored))
    base, adapted, merged = peers.load(args.base), peers.load(args.base, adapter=args.adapter), peers.load(args.merged)
    worst, effect, largest, agree, total = 0.0, 0.0, 0.0, 0, 0
    for ids in prompts(args, base.config.vocab_size):
        a, b, c = peers.logits(adapted, ids), peers.logits(merged, ids), peers.logits(base, ids)
        worst, effect = max(worst, (a - b).abs().max().item()), max(effect, (a - c).abs().max().item())
        largest = max(largest, a.abs().max().item())
        agree, total = agree + (a.argmax(-1) == b.argmax(-1)).sum().item(), total + len(ids)
    print(f"merged weights are {stored}; the adapter moves the logits by up to {effect:.3g}; "
          f"the most likely token agrees at {agree} of {total} positions")
    relative = args.tolerance or (1e-3 if stored == torch.float32 else 5e-2)
    peers.verdict(f"logits up to {largest:.3g}", worst, relative * largest)


if __name__ == "__main__":
    main()
