"""Times a whole translation, from the command to the written rows: `barka translate --in`, and a script with CTranslate2.

    stage.py --barka BARKA --model DIR --text FILE --work WORK [--rows 10000] [--length N] [--rounds 2] [-- FLAGS OF BARKA]

Each line of FILE is a row of one message. Both sides start, load their int8 model, encode, search with 5 beams and CTranslate2's
early stopping, decode and write all rows. CTranslate2 gets all rows at once, which it sorts by length, in batches of at most
--batch tokens. barka runs without checks and without a translation memory, since the other side has neither. With --length every
output has that many tokens after the language, for models with random weights. The sides alternate. Times, peaks of resident
memory and the share of equal outputs are printed. BARKA_CPU and CT2_FORCE_CPU_ISA select their instructions.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BEAMS = 5


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--barka", type=pathlib.Path)
    p.add_argument("--model", required=True, type=pathlib.Path, help="an NLLB model with tokenizer.json")
    p.add_argument("--text", type=pathlib.Path)
    p.add_argument("--work", required=True, type=pathlib.Path)
    p.add_argument("--rows", type=int, default=10_000)
    p.add_argument("--length", type=int, default=0, help="tokens of every output; 0: until the end token")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batch", type=int, default=2048, help="tokens of a batch of CTranslate2")
    p.add_argument("--replicas", type=int, default=1, help="batches that CTranslate2 translates at once, on a share of the threads")
    p.add_argument("--only", choices=["barka", "ctranslate2"])
    p.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--convert", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("flags", nargs="*", help="further flags of barka translate")
    return p.parse_args()


def rows(args):
    """The rows of the input, made once."""
    path = args.work / f"rows-{args.rows}.jsonl"
    if not path.exists():
        lines = [l.strip() for l in args.text.read_text(encoding="utf-8").splitlines() if l.strip()]
        if len(lines) < args.rows:
            sys.exit(f"{args.text} has {len(lines)} lines, expected {args.rows}")
        path.write_text("".join(json.dumps({"id": str(i), "messages": [{"role": "user", "content": l}]}, ensure_ascii=False) + "\n"
                                for i, l in enumerate(lines[:args.rows])), encoding="utf-8")
    return path


def converted(args):
    out = args.work / f"{args.model.name}-ctranslate2-int8"
    if not (out / "model.bin").exists():
        from ctranslate2_ids import Converter
        Converter(str(args.model)).convert(str(out), quantization="int8", force=True)
    return out


def peer(args):
    """The script with CTranslate2."""
    import ctranslate2
    import tokenizers
    model = ctranslate2.Translator(str(converted(args)), device="cpu", compute_type="int8", inter_threads=args.replicas,
                                   intra_threads=max(1, args.threads // args.replicas))
    tok = tokenizers.Tokenizer.from_file(str(args.model / "tokenizer.json"))
    source, target, end = (str(tok.token_to_id(t)) for t in ("eng_Latn", "arb_Arab", "</s>"))
    data = [json.loads(l) for l in rows(args).read_text(encoding="utf-8").splitlines()]
    encoded = tok.encode_batch_fast([r["messages"][0]["content"] for r in data], add_special_tokens=False)
    tokens = [[source, *map(str, e.ids), end] for e in encoded]
    lengths = {"min_decoding_length": args.length + 1, "max_decoding_length": args.length + 1} if args.length else \
        {"max_decoding_length": 510}
    results = model.translate_batch(tokens, target_prefix=[[target]] * len(tokens), beam_size=BEAMS, batch_type="tokens",
                                    max_batch_size=args.batch, **lengths)
    texts = tok.decode_batch([[int(t) for t in r.hypotheses[0]] for r in results])
    with (args.work / "peer.jsonl").open("w", encoding="utf-8") as f:
        for r, text in zip(data, texts):
            r["messages"][0]["content"] = text
            f.write(json.dumps(r, ensure_ascii=False) + "\n")
    print(sum(len(r.hypotheses[0]) - 1 for r in results))


def ours(args):
    out = args.work / "barka"
    command = [args.barka, "translate", "--quiet", "--model", args.model, "--in", rows(args), "--out", out, "--restart",
               "--dtype", "int8", "--memory", "off", "--checks", "off", "--early-stopping", "ctranslate2", "--threads", args.threads]
    if args.length:
        command += ["--min-length", args.length + 1, "--max-length", args.length + 2]
    return [str(c) for c in [*command, *args.flags]]


def timed(command):
    """Seconds, the peak of resident memory in MiB, and the output of a program."""
    start = time.monotonic()
    p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return time.monotonic() - start, usage.ru_maxrss >> 10, out


def texts(lines):
    out = {}
    for l in lines:
        r = json.loads(l)
        out[r["id"]] = re.sub(r"\s+", " ", r["messages"][0]["content"]).strip()
    return out


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.convert:
        return converted(args)
    if args.peer:
        return peer(args)
    rows(args)
    here = [sys.executable, __file__, "--peer", "--model", args.model, "--work", args.work, "--rows", args.rows,
            "--length", args.length, "--threads", args.threads, "--batch", args.batch, "--replicas", args.replicas]
    if args.only != "barka":
        subprocess.run([*map(str, here), "--convert"], check=True)
    sides = {"barka": ours(args), "ctranslate2": [str(c) for c in here]}
    best = {}
    for n in range(args.rounds):
        for name, command in sides.items():
            if args.only in (None, name):
                seconds, peak, out = timed(command)
                print(f"round {n + 1}, {name}: {seconds:.1f} s, {args.rows / seconds:.1f} rows/s, peak {peak} MiB {out.strip()}",
                      flush=True)
                best[name] = min(seconds, best.get(name, seconds))
    if args.only:
        return None
    print(f"ratio of the best: {best['ctranslate2'] / best['barka']:.2f}")
    shown = subprocess.run([str(args.barka), "show", str(args.work / "barka"), "--json", "-n", "0"], capture_output=True,
                           text=True, check=True)
    a = texts(shown.stdout.splitlines())
    b = texts((args.work / "peer.jsonl").read_text(encoding="utf-8").splitlines())
    same = sum(a.get(i) == t for i, t in b.items())
    print(f"{len(a)} rows by barka, {len(b)} by CTranslate2; equal texts: {same} ({100 * same / len(b):.1f} %)")


if __name__ == "__main__":
    main()
