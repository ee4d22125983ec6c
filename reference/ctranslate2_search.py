"""CTranslate2's beam search on the checkpoint of m2m100.py: early_stopping ctranslate2 and patience.

    python reference/ctranslate2_search.py      # needs reference/bench/requirements.txt

Writes testdata/models/m2m100-ctranslate2/golden.json: settings and, for each source, every hypothesis with its score.
"""

import json
import pathlib
import sys
import tempfile

import ctranslate2
import torch

import golden

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "bench"))
from ctranslate2_ids import Converter  # noqa: E402

MODEL = golden.ROOT / "m2m100"
CASES = [
    (beams, length, penalty, patience)
    for beams, length in ((5, 24), (3, 24), (2, 12))
    for penalty, patience in ((1.0, 1.0), (0.6, 2.0), (0.0, 1.0), (1.5, 1.4))
] + [(1, 24, 1.0, 1.0), (5, 24, -0.5, 1.0), (4, 24, 1.0, 0.5), (3, 5, 1.0, 1.0), (4, 40, 1.0, 1.0)]


def main():
    golden.start(63)
    base = json.loads((MODEL / "golden.json").read_text())
    # With these forced tokens the end token is the best, the second best and a later continuation of equally many sources.
    sources = base["sources"] + [[290] + s + [2] for s in golden.sequences(290, [2, 3, 5, 6, 8, 9, 10, 13, 15, 17])]
    codes = [(290, 20, 290)[i % 3] for i in range(len(sources))]
    values = {"sources": sources, "code": base["code"], "ctranslate2": ctranslate2.__version__, "cases": []}
    with tempfile.TemporaryDirectory() as d:
        Converter(str(MODEL)).convert(d, force=True)
        model = ctranslate2.Translator(d, device="cpu", compute_type="float32", inter_threads=1, intra_threads=1)
        for beams, length, penalty, patience in CASES:
            returned = min(beams, round(beams * patience)) if penalty else (beams + 1) // 2
            results = [model.translate_batch(
                [[str(i) for i in s]], target_prefix=[[str(code)]], beam_size=beams, length_penalty=penalty,
                patience=patience, max_decoding_length=length - 1, num_hypotheses=returned, return_scores=True, return_end_token=True,
            )[0] for s, code in zip(sources, codes)]
            outputs = [[{"tokens": [2] + [int(t) for t in h], "score": score} for h, score in zip(r.hypotheses, r.scores) if score > -1e8]
                       for r in results]
            values["cases"].append({"settings": {"beams": beams, "max_length": length, "length_penalty": penalty, "patience": patience,
                                                 "num_return": returned, "codes": codes}, "outputs": outputs})
    golden.save(golden.ROOT / "m2m100-ctranslate2", "reference/ctranslate2_search.py", 63, {"none": torch.zeros(1)}, values)
    path = golden.ROOT / "m2m100-ctranslate2"
    (path / "golden.safetensors").unlink()
    (path / "golden.json").write_text(json.dumps(values, separators=(",", ":")).replace('{"settings"', '\n{"settings"') + "\n")


if __name__ == "__main__":
    main()
