#!/usr/bin/env python3
"""The same work as `measure` through torch, in the same form: a JSON list on standard output.

beside.py environment    what the card gives torch: 8192³ and a copy
beside.py kernels        products of measure's shapes
"""
import json
import statistics
import sys

import torch

results = []


def add(work, variant, shape, value, unit):
    results.append({"work": work, "variant": variant, "shape": shape, "value": value, "unit": unit})
    print(f"{work:14} {variant:22} {shape:24} {value:10.4g} {unit}", file=sys.stderr)


def seconds(calls, f):
    f()
    times = []
    for _ in range(5):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            f()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / calls)
    return statistics.median(times)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.bfloat16, device="cuda")


def product(t, n, k):
    x, w = normal(t, k), normal(n, k)
    y = torch.empty(t, n, dtype=torch.bfloat16, device="cuda")
    flop = 2 * t * n * k
    calls = int(min(max(0.02 / (flop / 400e12), 3), 50))
    rate = flop / seconds(calls, lambda: torch.mm(x, w.t(), out=y)) / 1e12
    add("gemm_tn", "torch", f"T={t} N={n} K={k}", rate, "TFLOP/s")


def small(t, n, k):
    copies = max(4, (512 << 20) // (2 * n * k))
    x, weights = normal(t, k), normal(copies, n, k)
    y = torch.empty(t, n, dtype=torch.bfloat16, device="cuda")

    def run():
        for w in weights:
            torch.mm(x, w.t(), out=y)

    run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    rate = copies * 2 * n * k / seconds(3, graph.replay) / 1e12
    add("gemm_small", "torch", f"T={t} N={n} K={k}", rate, "TB/s of weights")


def environment():
    import subprocess

    driver = subprocess.run(["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"],
                            capture_output=True, text=True).stdout.strip()
    add("environment", f"torch {torch.__version__}", driver, torch.cuda.device_count(), "GPU")
    product(8192, 8192, 8192)
    a = normal(1 << 31)
    b = torch.empty_like(a)
    add("copy", "torch", "4 GiB", 4 * a.numel() / seconds(3, lambda: b.copy_(a)) / 1e12, "TB/s, both ways")


def kernels():
    gemma2b = [(4096, 2304), (2304, 2048), (18432, 2304), (2304, 9216)]
    for t, n, k in [(8192, 8192, 8192), (1024, 256000, 2304)] + [(8192, *nk) for nk in gemma2b] + [
            (512, 2304, 2304), (128, 2304, 2304)]:
        product(t, n, k)
    for n, k in [(2304, 2304)] + gemma2b:
        for t in (1, 8, 16, 32, 64):
            small(t, n, k)


{"environment": environment, "kernels": kernels}[sys.argv[1]]()
json.dump(results, sys.stdout, indent=1)
