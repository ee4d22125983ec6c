"""Loads an adapter that barka wrote with peft, and prints or compares logits.

    python reference/check_adapter.py --model BASE --adapter DIR --ids 2,17,45
    python reference/check_adapter.py --model BASE --adapter DIR --compare FILE.jsonl

With --ids it prints {"ids", "logits"}: one list for each position. With --compare each line of FILE
is {"ids", "logits"}, where logits are those of all positions or of the last one only.
"""

import argparse

import torch

import peers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--dtype", choices=peers.DTYPES, default="f32")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ids")
    what.add_argument("--compare")
    args = parser.parse_args()
    peers.start()
    model = peers.load(args.model, args.dtype, args.adapter)
    adapted = sum("lora_A" in n for n, _ in model.named_parameters())
    base = peers.load(args.model, args.dtype)
    if args.ids:
        ids = [int(i) for i in args.ids.split(",")]
        peers.write({"ids": ids, "logits": peers.logits(model, ids).tolist()})
        return
    worst, effect = 0.0, 0.0
    for row in peers.jsonl(args.compare):
        got, want = torch.tensor(row["logits"]), peers.logits(model, row["ids"])
        effect = max(effect, (want - peers.logits(base, row["ids"])).abs().max().item())
        want = want if got.ndim == 2 else want[-1]
        worst = max(worst, (got - want).abs().max().item())
    # An adapter that changes nothing would prove nothing.
    peers.verdict(f"{adapted} adapted layers, which move the logits by up to {effect:.3g}", worst, args.tolerance)


if __name__ == "__main__":
    main()
