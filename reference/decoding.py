"""Settings of the search for a translation beyond those of m2m100.py, on its tiny checkpoint.

    python reference/decoding.py

Writes testdata/models/m2m100-decoding/golden.json. `cases`: settings and, for each source, every hypothesis with its
score (greedy search has none). A case has a forced token per source. `draws`: the distribution of the first free token
after transformers' processors, and the log-probabilities of the model.
"""

import json

import torch
from transformers import GenerationConfig, M2M100ForConditionalGeneration

import golden

MODEL = golden.ROOT / "m2m100"
START, END, PAD = 2, 2, 1
CASES = [
    {"num_beams": 5, "repetition_penalty": 1.2}, {"num_beams": 4, "repetition_penalty": 2.5, "early_stopping": True},
    {"num_beams": 2, "repetition_penalty": 1.01, "length_penalty": 0.0}, {"num_beams": 1, "repetition_penalty": 1.3},
    {"num_beams": 1, "repetition_penalty": 0.7}, {"num_beams": 1, "repetition_penalty": 4.0, "no_repeat_ngram_size": 1},
    {"num_beams": 5, "min_length": 6}, {"num_beams": 3, "min_length": 17, "early_stopping": True}, {"num_beams": 1, "min_length": 9},
    {"num_beams": 2, "min_length": 23, "early_stopping": "never"}, {"num_beams": 3, "min_length": 1}, {"num_beams": 3, "min_length": 3},
    {"num_beams": 5, "max_length_ratio": 0.5}, {"num_beams": 3, "max_length_ratio": 0.01, "early_stopping": "never"},
    {"num_beams": 1, "max_length_ratio": 1.1}, {"num_beams": 4, "max_length_ratio": 1.0, "length_penalty": 2.0},
    {"num_beams": 5, "min_length": 8, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "length_penalty": 1.4, "max_length_ratio": 2.0},
    {"num_beams": 3, "min_length": 5, "repetition_penalty": 1.1, "no_repeat_ngram_size": 1, "early_stopping": True},
    {"num_beams": 2, "min_length": 20, "repetition_penalty": 60.0}, {"num_beams": 3, "min_length": 22, "repetition_penalty": 3.0},
    *({"num_beams": beams, "max_length_ratio": 0.3, "length_penalty": 2.5, "early_stopping": "never", "codes": [290] * 5}
      for beams in (2, 3)),
    {"num_beams": 4, "codes": [295, 291, 292, 293, 294]}, {"num_beams": 1, "codes": [294, 294, 295, 291, 290], "repetition_penalty": 1.2},
]
DRAWS = [
    {}, {"temperature": 0.5}, {"temperature": 1.7, "top_k": 9}, {"top_p": 0.6}, {"min_p": 0.2, "temperature": 1.3},
    {"repetition_penalty": 3.0, "top_k": 20}, {"min_length": 4, "top_k": 12}, {"no_repeat_ngram_size": 1, "top_p": 0.9},
]


def limit(case, source):
    """Barka's own setting, which the reference gets as max_length."""
    ratio = case.get("max_length_ratio")
    return min(24, int(ratio * len(source) + 10)) if ratio else 24


def run(model, case, sources, code):
    outputs = []
    settings = {k: v for k, v in case.items() if k not in ("max_length_ratio", "codes")}
    for i, s in enumerate(sources):
        out = model.generate(
            torch.tensor([s]), forced_bos_token_id=case["codes"][i] if "codes" in case else code, max_length=limit(case, s),
            num_return_sequences=case["num_beams"], do_sample=False, return_dict_in_generate=True, output_scores=True, **settings,
        )
        best = []
        for j, ids in enumerate(out.sequences.tolist()):
            while ids[-1] == PAD:
                ids.pop()
            best.append({"tokens": ids, "score": out.sequences_scores[j].item() if case["num_beams"] > 1 else None})
        outputs.append(best)
    return outputs


def draw(model, case, source, code):
    prefix = torch.tensor([[START, code]])
    logits = model(input_ids=torch.tensor([source]), decoder_input_ids=prefix).logits[:, -1].float()
    config = GenerationConfig(do_sample=True, eos_token_id=END, decoder_start_token_id=START, **{"top_k": 0, "top_p": 1.0, **case})
    model._prepare_special_tokens(config)
    p = torch.softmax(model._get_logits_processor(config, input_ids_seq_length=1)(prefix, logits.clone()), -1)[0]
    kept = (p > 0).nonzero().flatten().tolist()
    logp = torch.log_softmax(logits, -1)[0]
    return {"settings": case, "kept": kept, "probabilities": p[kept].tolist(), "logprobs": logp[kept].tolist()}


def main():
    golden.start(62)
    model = M2M100ForConditionalGeneration.from_pretrained(MODEL, attn_implementation="eager").eval()
    base = json.loads((MODEL / "golden.json").read_text())
    sources, code = base["sources"], base["code"]
    values = {"sources": sources, "code": code, "cases": [], "drawn": sources[3], "draws": []}
    with torch.no_grad():
        for case in CASES:
            values["cases"].append({"settings": case, "outputs": run(model, case, sources, code)})
        values["draws"] = [draw(model, case, sources[3], code) for case in DRAWS]
    golden.save(golden.ROOT / "m2m100-decoding", "reference/decoding.py", 62, {"none": torch.zeros(1)}, values)
    path = golden.ROOT / "m2m100-decoding"
    (path / "golden.safetensors").unlink()
    (path / "golden.json").write_text(json.dumps(values, separators=(",", ":")).replace('{"settings"', '\n{"settings"') + "\n")


if __name__ == "__main__":
    main()
