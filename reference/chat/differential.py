"""Random conversations by every published chat template, as transformers renders them.

usage: differential.py FOLDER SEED OUT.jsonl.gz

FOLDER is render.py's. BARKA_CHAT_CASES=OUT.jsonl.gz go test -run TestPublished ./internal/jinja compares.
"""

import gzip
import json
import pathlib
import random
import sys

import render
from sources import templates

PIECES = ["</think>", "<think>", "\n", "\n\n", " ", "  ", "\t", "\u3000", "\x1c", "\u2028", "\x00", "\ufeff",
          "\r\n", "é", "ß", "السلام", "😀", "a", "Hello", "user", "assistant",
          "{", "}", "{{ x }}", "{% if %}", "'", '"', "\\", "[", "]", "0", "12", "%s", "<|im_end|>", "</s>",
          "<tool_call>", "</tool_call>", "<tool_response>",
          "</tool_response>", "/no_think", "/think", "<answer>", "</seed:think>", "[THINK]", "Tools:"]


def conversation(draw):
    roles = ["system"] if draw.random() < 0.4 else []
    for _ in range(draw.choice([1, 1, 2, 3])):
        roles += ["user", "assistant"]
    if draw.random() < 0.5:
        roles.append("user")
    if draw.random() < 0.2:
        draw.shuffle(roles)
    return [{"role": r, "content": "".join(draw.choices(PIECES, k=draw.choice([0, 1, 2, 3, 5, 9])))} for r in roles]


def main():
    folder, seed, out = sys.argv[1:]
    draw = random.Random(int(seed))
    conversations = {str(i): conversation(draw) for i in range(25)}
    n = 0
    with gzip.open(out, "wt", encoding="utf-8") as f:
        f.write(json.dumps({"variables": render.VARIABLES, "conversations": conversations}) + "\n")
        for t in templates(pathlib.Path(folder)):
            cases = []
            for name, messages in conversations.items():
                generation, thinking = draw.random() < 0.5, draw.choice([None, False, True])
                cases.append({"conversation": name, "generation": generation, "thinking": thinking,
                              **render.render(t["template"], messages, generation, thinking)})
            n += len(cases)
            f.write(json.dumps({"name": t["name"], "template": t["template"], "cases": cases}) + "\n")
    print(n, "conversations")


if __name__ == "__main__":
    main()
