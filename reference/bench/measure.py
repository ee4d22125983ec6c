"""Shared code of the peers: arguments, timing, and results in the form of `barka bench --json`.

A peer reads a checkpoint and the inputs.json that `barka bench --write` writes beside it, and writes a JSON list of results.
Each work runs once unmeasured, which gives its outcome, and then --repeat times.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


HERE = pathlib.Path(__file__).resolve().parent


def arguments(description, works, dtypes):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("work", choices=works)
    p.add_argument("--model", required=True, type=pathlib.Path, help="the directory that barka bench --write named")
    p.add_argument("--dtype", choices=dtypes, default=dtypes[0])
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--repeat", type=int, default=3)
    return p


def parse(parser):
    """The arguments, and the inputs of their work. Threads are set before any library is loaded that reads them."""
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    return args, json.loads((args.model / "inputs.json").read_text())[args.work]


def reset_peak():
    """Resets Linux's peak of resident memory, as barka bench does before each work."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak():
    """The largest resident size since, in bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def children_peak():
    """The largest resident size of any program that this one has run, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def timed(work, variant, unit, units, repeat, run, less=None):
    """One result: run() does `units` of work and returns its outcome; the time of less() is taken off."""
    reset_peak()
    outcome = run()
    rates = []
    for _ in range(repeat):
        before = 0.0
        if less:
            start = time.perf_counter()
            less()
            before = time.perf_counter() - start
        start = time.perf_counter()
        run()
        rates.append(units / (time.perf_counter() - start - before))
    return result(work, variant, unit, rates, peak(), outcome)


def once(first, then):
    """A function whose first call is `first`, the others `then`."""
    calls = iter([first])
    return lambda: next(calls, then)()


def result(work, variant, unit, rates, peak_bytes, outcome=0.0):
    return {"work": work, "variant": variant, "value": max(rates), "median": statistics.median(rates), "rates": sorted(rates), "unit": unit,
            "peak_rss_bytes": peak_bytes, "outcome": outcome}


def write(results):
    json.dump(results, sys.stdout)
    sys.stdout.write("\n")
