"""Compares two stores of scores for the same requests, such as those of a local model and of an endpoint.

usage: compare_stores.py STORE_A STORE_B [TOLERANCE]

A store is the cache directory of an output directory, or the directory of --store. The exit status is 1 if the requests differ,
or if a log-probability differs by more than TOLERANCE (1e-3), relative to its size above 1.
"""

import pathlib
import struct
import sys


def scores(directory):
    out = {}
    for path in pathlib.Path(directory).glob("scores-*.log"):
        for line in path.read_text().splitlines():
            key, bits, greedy, _ = line.split()
            out[key] = struct.unpack(">d", bytes.fromhex(bits))[0], greedy == "1"
    return out


def main():
    a, b = scores(sys.argv[1]), scores(sys.argv[2])
    tolerance = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-3
    both = a.keys() & b.keys()
    if not both:
        sys.exit("no request is in both")
    apart = sorted(abs(a[k][0] - b[k][0]) / max(1, abs(a[k][0])) for k in both)
    print(f"{len(a)} and {len(b)} requests, {len(both)} in both; "
          f"log-probabilities from {min(a[k][0] for k in both):.2f} to {max(a[k][0] for k in both):.2f}")
    print(f"apart: median {apart[len(apart) // 2]:.2g}, most {apart[-1]:.2g}; greedy otherwise in {sum(a[k][1] != b[k][1] for k in both)}")
    if len(both) < len(a) or len(both) < len(b) or apart[-1] > tolerance:
        sys.exit(1)


if __name__ == "__main__":
    main()
