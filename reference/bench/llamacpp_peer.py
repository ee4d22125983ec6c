"""llama.cpp on the works of `barka bench`: prefill with its llama-bench, decode with its llama-batched-bench.

The programs generate their own random token ids. Their rates do not include the choice of the next token; barka's do. The
key/value cache has its default type, float16.
"""

import json
import pathlib
import re
import subprocess
import sys

import measure


def gguf(llamacpp, model, dtype):
    """The converted checkpoint, made on the first call."""
    path = model / f"{dtype}.gguf"
    if not path.exists():
        part = path.with_suffix(".part")
        convert = [sys.executable, str(measure.HERE / "llamacpp_convert.py"), str(llamacpp / "src"), str(model), str(part), dtype]
        done = subprocess.run(convert, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"the converter of llama.cpp failed:\n{done.stderr}")
        part.rename(path)
    return path


def run(command):
    """A program's output."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = p.communicate()
    if p.returncode:
        sys.exit(f"{command[0]} failed:\n{err[-4000:]}")
    return out


def main():
    parser = measure.arguments(__doc__, ["prefill", "decode"], ["bf16", "q8_0"])
    parser.add_argument("--llamacpp", required=True, type=pathlib.Path, help="the directory of build_llamacpp.sh")
    parser.add_argument("--convert", action="store_true", help="convert the checkpoint, and measure nothing")
    args, inputs = measure.parse(parser)
    path = gguf(args.llamacpp, args.model, args.dtype)
    if args.convert:
        return
    programs, common = args.llamacpp / "build/bin", ["-m", str(path), "-t", str(args.threads)]
    if args.work == "prefill":
        n = len(inputs["prompt"])
        out = json.loads(run([str(programs / "llama-bench"), *common, "-p", str(n), "-n", "0", "-r", str(args.repeat), "-o", "json"]))
        measure.write([measure.result("prefill", f"{n} tokens", "tokens/s", out[0]["samples_ts"], measure.children_peak())])
        return
    prompt, n, results = len(inputs["prompts"][0]), inputs["tokens"], []
    for batch in inputs["batches"]:
        out = run([str(programs / "llama-batched-bench"), *common, "-tb", str(args.threads),
                   "-c", str(batch * (prompt + n)), "-npp", str(prompt), "-ntg", str(n),
                   "-npl", ",".join([str(batch)] * args.repeat), "--output-format", "jsonl"])
        rates = [json.loads(found)["speed_tg"] for found in re.findall(r'\{"n_kv_max".*?\}', out)]
        if len(rates) != args.repeat:
            sys.exit(f"llama-batched-bench gave {len(rates)} rates, expected {args.repeat}:\n{out}")
        results.append(measure.result("decode", f"batch {batch}", "tokens/s", rates, measure.children_peak()))
    measure.write(results)


if __name__ == "__main__":
    main()
