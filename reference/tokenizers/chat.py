"""Renders conversations with Jinja, as transformers does, for the tests of internal/chat.

usage: chat.py

Writes internal/chat/testdata/rendered.jsonl from the templates below, which are the models' own without tools. Templates as they
are published: reference/chat.
"""

import itertools
import json
import pathlib

import jinja2
import jinja2.sandbox

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "internal" / "chat" / "testdata" / "rendered.jsonl"

LLAMA_TURN = "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>'"
LLAMA_OPEN = "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
IM_TURNS = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
            "{% endfor %}")
IM_OPEN = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"


def system_of(text):
    return "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n" + text + "<|im_end|>\\n' }}{% endif %}" + IM_TURNS + IM_OPEN


TEMPLATES = {
    "gemma": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('alternate') }}{% endif %}"
        "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}", "<bos>"),
    "llama3": ("{% for message in messages %}{% set content = " + LLAMA_TURN
               + " %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
               "{{ content }}{% endfor %}" + LLAMA_OPEN, "<|begin_of_text|>"),
    "llama3.1": (
        "{{- bos_token }}{% set date_string = '26 Jul 2024' %}"
        "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}"
        "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
        "{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' }}{{ 'Cutting Knowledge Date: December 2023\\n' }}"
        "{{ 'Today Date: ' + date_string + '\\n\\n' }}"
        "{{ system }}{{ '<|eot_id|>' }}{% for message in messages %}{{ " + LLAMA_TURN + " }}{% endfor %}" + LLAMA_OPEN,
        "<|begin_of_text|>"),
    "qwen2": (system_of("You are a helpful assistant."), None),
    "qwen1.5": (system_of("You are a helpful assistant"), None),
    "qwen2.5": (system_of("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."), None),
    "chatml": (IM_TURNS + IM_OPEN, None),
    "chatml-bos-trim": ("{{ bos_token }}" + IM_TURNS.replace("message['content']", "message['content'] | trim") + IM_OPEN, "<s>"),
}

CONTENTS = ["Hello", "  padded\n\n", "", "كَيْفَ الحال؟", "two\nlines\n", "\x1c\u2003odd spaces\x1f\xa0",
            "<b>tags</b> & {{ braces }}", "\t", "a  b"]


def conversations():
    contents = itertools.cycle(CONTENTS)
    for roles in ("u", "ua", "uau", "uaua", "su", "sua", "suaua", "sa", "uu", "aua", "us"):
        yield [{"role": {"u": "user", "a": "assistant", "s": "system"}[r], "content": next(contents)} for r in roles]
    for c in CONTENTS:
        yield [{"role": "user", "content": c}, {"role": "assistant", "content": c}]


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def render(template, bos, messages, generation):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = refuse
    try:
        return env.from_string(template).render(messages=messages, add_generation_prompt=generation, bos_token=bos or "")
    except jinja2.exceptions.TemplateError:
        return None


def rows():
    for name, (template, bos) in TEMPLATES.items():
        for messages in conversations():
            for generation in (False, True):
                yield {"name": name, "messages": messages, "generation": generation, "text": render(template, bos, messages, generation)}


def main():
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as f:
        head = {"script": "reference/tokenizers/chat.py", "jinja2": jinja2.__version__,
                "templates": {n: {"jinja": t, "bos": b} for n, (t, b) in TEMPLATES.items()}}
        f.write(json.dumps(head) + "\n")
        for row in rows():
            f.write(json.dumps(row, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
