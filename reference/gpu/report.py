#!/usr/bin/env python3
"""Records the stages of check.sh and prints their table.

report.py stage OUT NAME START END STATUS   joins a stage's result and log into OUT/NAME.json
report.py skip OUT NAME REASON
report.py table OUT COMMIT-FILE             Markdown of all stages, with card, date and commit
"""
import datetime
import json
import pathlib
import re
import sys

STAGES = ["environment", "smoke", "conformance", "sanitizer", "kernels", "beside", "whole", "translation", "peer", "compiled"]


def save(out, name, record):
    (pathlib.Path(out) / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(f"{name}: {record['status']}" + (f", {record['seconds']:.1f} s" if "seconds" in record else ""), flush=True)


def stage(out, name, start, end, status):
    log = (pathlib.Path(out) / f"{name}.log").read_text(errors="replace")
    log = log[max(log.find("== memcheck"), 0):]  # a planted fault stands before
    text = (pathlib.Path(out) / f"{name}.result").read_text(errors="replace").strip()
    record = {"stage": name, "status": "passed" if status == "0" else f"failed with {status}",
              "seconds": float(end) - float(start), "measurements": []}
    if text:
        try:
            record["measurements"] = json.loads(text)
        except ValueError:
            record["status"] = "failed: its result is not JSON"
    record["tests"] = re.findall(r"^--- (PASS|FAIL|SKIP): (\w+)", log, re.M)
    record["notes"] = [line.strip() for line in re.findall(r"^\s+\w+_test\.go:\d+: .*", log, re.M)]
    record["sanitizer"] = re.findall(r"(?:ERROR SUMMARY|RACECHECK SUMMARY): .*", log)
    save(out, name, record)
    return record["status"] != "passed"


def figure(v):
    return f"{v:,.0f}" if v >= 1000 else f"{v:.3g}"


def table(out, commit):
    records = [json.loads(p.read_text()) for n in STAGES if (p := pathlib.Path(out) / f"{n}.json").exists()]
    card = next((m["variant"] for r in records for m in r.get("measurements", []) if m["work"] == "card"), "")
    revision = pathlib.Path(commit).read_text().strip() if pathlib.Path(commit).exists() else "unknown"
    replaced = next((m["value"] for r in records for m in r.get("measurements", []) if m["work"] == "signals"), None)
    print(f"\nCard: {card or 'not asked'}. Date: {datetime.date.today()}. Commit: {revision}.\n")
    if replaced is not None:
        print(f"Signal handlers that cuInit or the context replaced: {replaced:.0f}.\n")
    print("| stage | result | s | |\n|---|---|---:|---|")
    for r in records:
        passed = sum(t[0] == "PASS" for t in r.get("tests", []))
        ran = sum(t[0] != "SKIP" for t in r.get("tests", []))
        detail = [f"{passed} of {ran} tests"] if r.get("tests") else []
        detail += r.get("sanitizer", []) + ([r["reason"]] if "reason" in r else [])
        print(f"| {r['stage']} | {r['status']} | {r.get('seconds', 0):.0f} | {'; '.join(detail)} |")
    torch = {(m["work"], m["shape"]): m["value"] for r in records if r["stage"] in ("beside", "environment")
             for m in r.get("measurements", []) if m["variant"] == "torch"}
    print("\n| work | shape | | unit | variant | torch | share |\n|---|---|---:|---|---|---:|---:|")
    for r in records:
        if r["stage"] in ("beside", "environment"):
            continue
        for m in r.get("measurements", []):
            work = m["work"].removesuffix(" best")
            if work in ("gemm_tn", "gemm_small") and work == m["work"] or work in ("card", "signals"):
                continue  # only the best variant, which stands by itself
            beside = torch.get((work, m["shape"]))
            if work == "copy" and m["variant"] != "device to device":
                beside = None
            share = (figure(beside), f"{m['value'] / beside:.2f}") if beside else ("", "")
            print(f"| {work} | {m['shape']} | {figure(m['value'])} | {m['unit']} | {m['variant']} | {share[0]} | {share[1]} |")
    for r in records:
        for note in r.get("notes", []) if r["stage"] == "conformance" else []:
            print("- " + re.sub(r"^\w+\.go:\d+: ", "", note))


def main():
    verb, *rest = sys.argv[1:]
    if verb == "stage":
        sys.exit(stage(*rest))
    elif verb == "skip":
        save(rest[0], rest[1], {"stage": rest[1], "status": "skipped", "reason": rest[2]})
    else:
        table(*rest)


main()
