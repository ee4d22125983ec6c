"""Converts a checkpoint with its tokenizer to a GGUF file for a server of llama.cpp.

usage: llamacpp_gguf.py SRC MODEL OUT.gguf [f32|bf16|f16]

SRC is the source tree of llama.cpp. Its converter needs Gemma's SentencePiece file, which MODEL may lack. The vocabulary is taken
from tokenizer.json instead, and the score of a token is the rank of the merge that makes it, so that merging by score equals
merging by rank. The file cannot hold all rules of the tokenizer, so tokens may differ; `barka eval --endpoint` reports where.
"""

import json
import pathlib
import re
import sys

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def vocabulary(model, size):
    tok = json.loads((model / "tokenizer.json").read_text())
    rank = {"".join(pair): -float(i) for i, pair in reversed(list(enumerate(tok["model"]["merges"])))}
    special = {t["content"] for t in tok["added_tokens"] if t["special"]}
    tokens, scores, kinds = [f"[pad{i}]" for i in range(size)], [-1e6] * size, [CONTROL] * size
    for text, i in tok["model"]["vocab"].items():
        tokens[i], scores[i] = text, rank.get(text, -1e6)
        if text == tok["model"]["unk_token"]:
            kinds[i] = UNKNOWN
        elif text in special:
            kinds[i] = CONTROL
        elif re.fullmatch("<0x[0-9A-F]{2}>", text):
            kinds[i] = BYTE
        else:
            kinds[i] = NORMAL
    return tokens, scores, kinds


def main():
    src, model, out = sys.argv[1:4]
    kind = sys.argv[4] if len(sys.argv) > 4 else "f32"
    sys.path.insert(0, src)
    import convert_hf_to_gguf
    from conversion import get_model_class
    config = json.loads((pathlib.Path(model) / "config.json").read_text())

    def set_vocab(self):
        tokens, scores, kinds = vocabulary(pathlib.Path(model), config["vocab_size"])
        w = self.gguf_writer
        w.add_tokenizer_model("llama")
        w.add_tokenizer_pre("default")
        w.add_token_list(tokens)
        w.add_token_scores(scores)
        w.add_token_types(kinds)
        w.add_bos_token_id(config["bos_token_id"])
        w.add_eos_token_id(config["eos_token_id"])
        w.add_add_bos_token(True)
        w.add_add_eos_token(False)
        w.add_add_space_prefix(False)
    get_model_class(config["architectures"][0]).set_vocab = set_vocab
    sys.argv = ["convert_hf_to_gguf.py", model, "--outfile", out, "--outtype", kind]
    convert_hf_to_gguf.main()


if __name__ == "__main__":
    main()
