"""Converts a checkpoint of `barka bench --write` to a GGUF file with llama.cpp's own converter.

usage: llamacpp_convert.py SRC MODEL OUT.gguf bf16|q8_0

SRC is the source tree of llama.cpp. The checkpoint has no tokenizer, and the benchmarks need none, so the file has the tokenizer
"none" with the number of ids. Everything else is written by the converter.
"""

import json
import pathlib
import sys


def main():
    src, model, out, dtype = sys.argv[1:]
    sys.path.insert(0, src)
    import convert_hf_to_gguf
    from conversion import get_model_class
    config = json.loads((pathlib.Path(model) / "config.json").read_text())

    def set_vocab(self):
        self._set_vocab_none()
        self.gguf_writer.add_vocab_size(config["vocab_size"])
    get_model_class(config["architectures"][0]).set_vocab = set_vocab
    sys.argv = ["convert_hf_to_gguf.py", model, "--outfile", out, "--outtype", dtype]
    convert_hf_to_gguf.main()


if __name__ == "__main__":
    main()
