"""Compares the files of `barka eval` with those of lighteval.

    python compare.py LIGHTEVAL_OUT BARKA_OUT [--tolerance 1e-4]

Prints a row for each family of tasks: requests, differences of log-likelihoods, and
accuracies. Then prints every other difference of the result files and the details.
The exit status is 1 if a difference is not in `EXPECTED`.
"""

import argparse
import ast
import collections
import json
import pathlib
import re
import sys

import pyarrow.parquet

# What differs by its nature (sizes where buffers, which lighteval counts as
# weights, change the last digit), and what lighteval changed
# between 0.3.0 and the version of May 2024: task settings got num_samples,
# trust_dataset was dropped from the tasks of a file, and details lost two
# columns for a judge.
EXPECTED = re.compile(
    r"config_general/(start_time|end_time|total_evaluation_time_secondes|lighteval_sha|model_size)"
    r"|config_tasks/[^/]+/(num_samples|version|trust_dataset|must_remove_duplicate_docs)"
    r"|details/[^/]+/(judement_prompt|judgement)"
)

# Always empty: of Arrow's null type there, of a text's in barka.
EMPTY = ("gold", "pred_logits", "specifics")


def only(pattern, directory):
    found = sorted(pathlib.Path(directory).glob(pattern))
    if not found:
        sys.exit(f"{directory}: no {pattern}")
    return found[-1]


def flat(value, path=""):
    """Yields path and value of every leaf, in order."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield from flat(v, f"{path}/{k}" if path else k)
    else:
        yield path, value


def rows(path):
    """Reads details; barka up to its first version and lighteval from 0.5 wrote Python's str() of every value."""
    table = pyarrow.parquet.read_table(path)
    out = table.to_pylist()
    texts = {"example", "full_prompt", "instruction"}
    if table.schema.field("predictions").type == "string":
        out = [{k: v if k in texts else ast.literal_eval(v) for k, v in row.items()} for row in out]
    return {f.name: str(f.type).replace(" not null", "") for f in table.schema}, out


def details(directory):
    run = only("details/**/results_*.json", directory)
    stamp = run.stem.removeprefix("results_")
    found = {}
    for path in sorted((run.parent / stamp).glob("details_*.parquet")):
        found[path.name.removeprefix("details_").removesuffix(f"_{stamp}.parquet")] = rows(path)
    return found


class Compared:
    def __init__(self):
        self.differences, self.expected = [], collections.Counter()
        self.tasks = {}

    def differ(self, path, theirs, ours):
        if m := EXPECTED.match(path):
            self.expected[re.sub(r"^(config_tasks|details)/[^/]+", r"\1/TASK", m[0])] += 1
        else:
            self.differences.append(f"{path}: lighteval {theirs!r:.200}, barka {ours!r:.200}")

    def results(self, theirs, ours):
        a, b = dict(flat(theirs)), dict(flat(ours))
        common = [k for k in a if k in b]
        if common != [k for k in b if k in a]:
            self.differ("order of keys", [x for x, y in zip(common, [k for k in b if k in a]) if x != y][:1], "")
        for k in dict.fromkeys([*a, *b]):
            x, y = a.get(k, "absent"), b.get(k, "absent")
            if x != y or type(x) is not type(y):
                self.differ(k, x, y)

    def rows(self, task, theirs, ours):
        kinds, a = theirs
        our_kinds, b = ours
        for name in dict.fromkeys([*kinds, *our_kinds]):
            if kinds.get(name) != our_kinds.get(name) and (name not in EMPTY or "null" not in str(kinds.get(name))):
                self.differ(f"details/{task}/{name}", kinds.get(name), our_kinds.get(name))
        if list(k for k in kinds if k in our_kinds) != list(our_kinds):
            self.differ(f"details/{task}", list(kinds), list(our_kinds))
        if len(a) != len(b):
            return self.differ(f"details/{task}", f"{len(a)} rows", f"{len(b)} rows")
        t = self.tasks[task] = {"requests": 0, "d": [], "argmax": 0, "greedy": 0, "docs": len(a), "other": 0}
        for x, y in zip(a, b):
            for name in y:
                if name not in ("predictions", "metrics") and x.get(name) != y[name]:
                    t["other"] += 1
                    self.differ(f"details/{task}/{name}", x.get(name), y[name])
            p, q = x["predictions"], y["predictions"]
            t["requests"] += len(p)
            t["d"] += [abs(i[0] - j[0]) for i, j in zip(p, q)]
            t["greedy"] += sum(bool(i[1]) == bool(j[1]) for i, j in zip(p, q))
            best = [max(range(len(s)), key=lambda i: (s[i][0] / len(x["choices"][i]), -i)) for s in (p, q)]
            t["argmax"] += best[0] == best[1]
            if x["metrics"] != y["metrics"]:
                t["other"] += 1
                self.differ(f"details/{task}/metrics of {x['full_prompt'][:40]!r}", (p, x["metrics"]), (q, y["metrics"]))

    def table(self, a, b):
        groups = collections.defaultdict(list)
        for task in self.tasks:
            groups[re.sub(r":.*\|", "|", task) if task.count(":") and "xstory" not in task else task].append(task)
        print("| tasks | documents | requests | max \\|Δ\\| | mean \\|Δ\\| "
              "| same choice | same greedy flag | accuracy, lighteval | barka |")
        print("|---|---|---|---|---|---|---|---|---|")
        total = collections.Counter()
        for group, names in groups.items():
            t = [self.tasks[n] for n in names]
            d = [x for y in t for x in y["d"]]
            n, r = sum(y["docs"] for y in t), sum(y["requests"] for y in t)
            accuracy = [sum(next(iter(s["results"][x].values())) for x in names) / len(names) for s in (a, b)]
            name = group.split("|")[1] + (f" ({len(names)})" if len(names) > 1 else "") + f", {group.split('|')[2]}-shot"
            same, greedy = (sum(y[k] for y in t) for k in ("argmax", "greedy"))
            print(f"| {name} | {n} | {r} | {max(d):.2g} | {sum(d) / len(d):.2g} "
                  f"| {same} | {greedy} | {accuracy[0]:.4f} | {accuracy[1]:.4f} |")
            total.update(docs=n, requests=r, same=same, greedy=greedy)
            total["sum"] += sum(d)
            total["max"] = max(total["max"], max(d))
        print(f"| all {len(self.tasks)} | {total['docs']} | {total['requests']} | {total['max']:.2g} "
              f"| {total['sum'] / total['requests']:.2g} "
              f"| {total['same']} | {total['greedy']} | | |")  # fmt: skip
        return total["max"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("lighteval")
    p.add_argument("barka")
    p.add_argument("--tolerance", type=float, default=1e-4)
    p.add_argument("--differences", type=int, default=20, help="how many to print")
    args = p.parse_args()
    theirs, ours = (only("results/**/results_*.json", x) for x in (args.lighteval, args.barka))
    a, b = (json.loads(x.read_text()) for x in (theirs, ours))
    c = Compared()
    c.results(a, b)
    found, made = details(args.lighteval), details(args.barka)
    if list(found) != list(made):
        c.differ("details files", sorted(found.keys() - made.keys()), sorted(made.keys() - found.keys()))
    for task in [t for t in found if t in made]:
        c.rows(task, found[task], made[task])
    worst = c.table(a, b)
    shape = [re.sub(r"\d{4}-\d\d-\d\dT[\d.-]+\d", "TIME", str(x.relative_to(d))) for x, d in ((theirs, args.lighteval), (ours, args.barka))]
    if shape[0] != shape[1]:
        c.differ("path", *shape)
    print(f"\nExpected differences: {', '.join(f'{k} ({n})' for k, n in c.expected.items())}")
    print(f"Other differences: {len(c.differences) or 'none'}")
    for line in c.differences[: args.differences]:
        print("-", line)
    sys.exit(bool(c.differences) or worst > args.tolerance)


if __name__ == "__main__":
    main()
