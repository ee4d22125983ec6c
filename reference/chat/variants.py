"""Ways in which templates that look alike differ, written for the tests of internal/chat.

usage: variants.py

Each is a format that barka once recognised by substrings, with one change that made its ids wrong or could have.
Writes internal/chat/testdata/variants.jsonl.gz.
"""

import gzip
import io
import json
import pathlib

import render
from conversations import CONVERSATIONS

TURNS = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
OPEN = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
NO_SYSTEM = "{% if messages[0]['role'] != 'system' %}"
LLAMA = ("{{ bos_token }}{% for message in messages %}"
         "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
GEMMA = ("{{ bos_token }}{% for message in messages %}"
         "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' "
         "+ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}")

VARIANTS = {
    "plain": TURNS + OPEN,
    "default-system": NO_SYSTEM + "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}" + TURNS + OPEN,
    "default-system-in-a-variable": "{% set default = 'You are a helpful assistant.' %}" + NO_SYSTEM
        + "{{ '<|im_start|>system\n' ~ default ~ '<|im_end|>\n' }}{% endif %}" + TURNS + OPEN,
    "default-system-with-an-apostrophe": NO_SYSTEM
        + "{{ \"<|im_start|>system\nYou're a helpful assistant.<|im_end|>\n\" }}{% endif %}" + TURNS + OPEN,
    "default-system-in-template-text": NO_SYSTEM + "<|im_start|>system\nAnswer in {{ 'Arabic' }}.<|im_end|>\n{% endif %}" + TURNS + OPEN,
    "strip-method": TURNS.replace("message['content']", "message['content'].strip()") + OPEN,
    "trim-filter": TURNS.replace("message['content']", "message['content'] | trim") + OPEN,
    "rstrip-method": TURNS.replace("message['content']", "message.content.rstrip()") + OPEN,
    "no-newline-after-turns": TURNS.replace(" + '\n' }}", " }}") + OPEN,
    "trailing-eos": TURNS + "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}" + OPEN,
    "bos": "{{ bos_token }}" + TURNS + OPEN,
    "other-role-names": "{% set names = {'system': 'context', 'user': 'human', 'assistant': 'bot'} %}"
        + TURNS.replace("message['role']", "names[message['role']]") + OPEN.replace("assistant", "bot"),
    "drops-system": TURNS.replace("in messages %}", "in messages if message.role != 'system' %}") + OPEN,
    "refuses-system": "{% for message in messages %}{% if message.role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}{% endfor %}" + TURNS + OPEN,
    "system-after-the-first": TURNS.replace(
        "in messages %}", "in messages %}{% if message.role == 'system' and not loop.first %}"
        "{{ '<|im_start|>note\n' + message.content + '<|im_end|>\n' }}{% continue %}{% endif %}") + OPEN,
    "llama3-system-first-only": "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"
        "{% set messages = messages[1:] %}{{ '[' + system + ']' }}{% endif %}" + LLAMA,
    "llama3-no-trim": LLAMA.replace(" | trim", ""),
    "gemma-with-system": "{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}"
        "{% set messages = messages[1:] %}{% endif %}"
        + GEMMA.replace("message['content'] | trim",
                        "((first if loop.first and first is defined else '') + message['content']) | trim"),
}


def main():
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=9) as f:
        for name, template in VARIANTS.items():
            f.write((json.dumps({"name": name, "template": template,
                                 "cases": [c for c in render.rows(template) if c["thinking"] is None]}) + "\n").encode())
    (render.OUT.parent.parent / "chat" / "testdata" / "variants.jsonl.gz").write_bytes(raw.getvalue())
    print(len(VARIANTS), "variants of", len(CONVERSATIONS), "conversations", len(raw.getvalue()), "bytes")


if __name__ == "__main__":
    main()
