"""Compares barka's ALRAGE with that of lighteval 0.13.0: prompts, requests to the judge, and marks.

    python alrage.py --barka BIN --model DIR --work DIR

The judge is a local server with another reply to each answer. Some of its replies
are not a bare number.
"""

import argparse
import os
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

from lighteval.tasks.multilingual.tasks.arabic import judge_template, process_judge_response, qa_prompt_arabic

from compare import details

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPLIES = ["7", "أعطي 8.5 من 10", "10/10", "لا أعرف", "12"]
asked = []


class Judge(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked.append((body["messages"], REPLIES[len(asked) % len(REPLIES)]))
        reply = json.dumps({"choices": [{"message": {"role": "assistant", "content": asked[-1][1]}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


def main():
    p = argparse.ArgumentParser()
    for name in ("barka", "model", "work"):
        p.add_argument("--" + name, required=True)
    args = p.parse_args()
    server = http.server.HTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.makedirs(args.work, exist_ok=True)
    out, data = tempfile.mkdtemp(dir=args.work), ROOT / "internal/eval/testdata/hub"
    subprocess.run([args.barka, "eval", "--model", args.model, "--data", data,
                    "--tasks", "community|alrage_qa|0|1", "--output-dir", out, "--quiet",
                    "--judge-url", f"http://127.0.0.1:{server.server_port}/v1", "--judge-model", "judge"],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    rows = [json.loads(line) for line in open(data / "OALL/ALRAGE/data/train.jsonl", encoding="utf-8")]
    docs = {d.query: d for d in map(qa_prompt_arabic, rows)}
    ((_, made),) = details(out).values()
    same = {"prompts": 0, "what the judge is asked": 0, "marks": 0}
    for row in made:
        doc = docs.get(row["full_prompt"])
        if doc is None:
            continue
        same["prompts"] += 1
        wanted = judge_template(doc.query, row["predictions"][0], doc.choices[0])
        reply = next((r for messages, r in asked if messages == wanted), None)
        same["what the judge is asked"] += reply is not None
        if reply is not None:
            same["marks"] += abs(process_judge_response(reply) - row["metrics"]["llm_as_judge"]) < 1e-12
    print(f"ALRAGE, {len(rows)} questions, equal: {same}")
    sys.exit(set(same.values()) != {len(rows)} or len(made) != len(rows))


main()
