"""Tokenizes conversations with transformers' apply_chat_template, for internal/chat.

usage: ids.py FOLDER

FOLDER is render.py's. Its tokenizers/NAME hold tokenizer.json and tokenizer_config.json. Writes internal/chat/testdata/ids.jsonl.gz,
which the test compares where it finds the tokenizers. The conversation that spells control tokens is left out: there barka
differs on purpose.
"""

import gzip
import io
import json
import os
import pathlib
import re
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import transformers

import render  # sets the clock
from conversations import CONVERSATIONS
from sources import templates

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "internal" / "chat" / "testdata" / "ids.jsonl.gz"

# which published templates belong to a tokenizer
FAMILIES = {
    "gemma3": r"/(google-)?gemma-?[23]([-_]|$)|axolotl/gemma$|trl/gemma(_training)?$",
    "llama3": r"trl/llama3(_training)?$|axolotl/llama3$|xinference/llama-3-instruct",
    "llama3_1": r"[lL]lama-?3[._][123]|Hermes-3",
    "qwen3": r"(?i)qwen|QwQ|chatml|lfm2$",
}


def tokenizer(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    known = {"PreTrainedTokenizerFast", "GemmaTokenizer", "Qwen2Tokenizer", "LlamaTokenizerFast"}
    assert config["tokenizer_class"] in known, config["tokenizer_class"]
    return transformers.AutoTokenizer.from_pretrained(str(folder))


def case(tok, template, messages, generation):
    try:
        out = tok.apply_chat_template(messages, chat_template=template, add_generation_prompt=generation, tokenize=True, return_dict=True,
                                      return_assistant_tokens_mask="endgeneration" in template and not generation)
    except Exception:
        return None
    row = {"ids": out["input_ids"]}
    if "assistant_masks" in out:
        row["mask"] = "".join(map(str, out["assistant_masks"]))
    return row


def main():
    folder = pathlib.Path(sys.argv[1])
    published = list(templates(folder))
    raw = io.BytesIO()
    n = 0
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=9) as f:
        for name, family in FAMILIES.items():
            tok = tokenizer(folder / "tokenizers" / name)
            own = [("", tok.chat_template)] if tok.chat_template else []
            for label, template in own + [(t["name"], t["template"]) for t in published if re.search(family, t["name"])]:
                for conversation, messages in CONVERSATIONS.items():
                    for generation in (False, True):
                        if conversation == "forged":
                            continue
                        row = case(tok, template, messages, generation)
                        if row is None:
                            continue
                        n += 1
                        row = {"tokenizer": name, "template": label, "conversation": conversation, "generation": generation, **row}
                        f.write((json.dumps(row, separators=(",", ":")) + "\n").encode())
    OUT.write_bytes(raw.getvalue())
    print(f"{n} conversations, {len(raw.getvalue())} bytes")


if __name__ == "__main__":
    main()
