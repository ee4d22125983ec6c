"""A tiny M2M-100 (NLLB) checkpoint with goldens: encoder, decoder, greedy and beam search.

    python reference/m2m100.py
"""

import itertools

import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration

import golden

SEED = 60
CODE = 295  # stands for a language token


def padded(model, sources, alone):
    """The first case again as one padded batch: what batching changes in the reference itself."""
    width = max(map(len, sources))
    ids = torch.tensor([s + [1] * (width - len(s)) for s in sources])
    beams, length = alone["beams"], alone["max_length"]
    out = model.generate(ids, attention_mask=(ids != 1).long(), forced_bos_token_id=CODE, num_beams=beams, max_length=length,
                         num_return_sequences=beams, do_sample=False, return_dict_in_generate=True, output_scores=True)
    want = [h for o in alone["outputs"] for h in o]
    changed = sum(ids.tolist()[:len(h["tokens"])] != h["tokens"] for ids, h in zip(out.sequences, want))
    difference = max(abs(s.item() - h["score"]) for s, h in zip(out.sequences_scores, want))
    return {"hypotheses": len(want), "changed": changed, "largest_score_difference": difference}


def ends(model, sources, single):
    """Beam search with several end tokens: the usual one, and tokens inside best outputs of the first case."""
    eos = [2] + sorted({single[i][0]["tokens"][-3] for i in (1, 3)})
    values = {"eos": eos, "outputs": []}
    for s in sources:
        out = model.generate(torch.tensor([s]), forced_bos_token_id=CODE, num_beams=4, max_length=24, eos_token_id=eos, pad_token_id=1,
                             num_return_sequences=4, do_sample=False, return_dict_in_generate=True, output_scores=True)
        best = []
        for ids, score in zip(out.sequences.tolist(), out.sequences_scores.tolist()):
            while ids[-1] == 1:
                ids.pop()
            best.append({"tokens": ids, "score": score})
        values["outputs"].append(best)
    return values


def main():
    golden.start(SEED)
    cfg = M2M100Config(
        vocab_size=300, d_model=40, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=64, decoder_ffn_dim=72, max_position_embeddings=128, scale_embedding=True, activation_function="relu",
        decoder_start_token_id=2, bos_token_id=0, pad_token_id=1, eos_token_id=2, dropout=0.0, attention_dropout=0.0,
        activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0, attn_implementation="eager",
    )
    model = M2M100ForConditionalGeneration(cfg).eval()
    golden.randomise(model, std=0.2)
    with torch.no_grad():
        # Sentences must end, so the end token needs a large embedding along
        # directions that the decoder's last norm favours.
        model.model.shared.weight[2] += 2.0 * model.model.decoder.layer_norm.bias / model.model.decoder.layer_norm.bias.norm()
    directory = golden.ROOT / "m2m100"
    model.save_pretrained(directory)

    sources = [[290] + s + [2] for s in golden.sequences(290, (1, 4, 7, 12, 20))]
    targets = [[2, CODE] + s for s in golden.sequences(290, (1, 3, 6, 10, 15))]
    tensors, values = {}, {"sources": sources, "targets": targets, "code": CODE, "attention": []}
    with torch.no_grad():
        for i, (s, t) in enumerate(zip(sources, targets)):
            out = model(input_ids=torch.tensor([s]), decoder_input_ids=torch.tensor([t]), output_attentions=True)
            tensors[f"encoder.{i}"] = out.encoder_last_hidden_state[0]
            tensors[f"logits.{i}"] = out.logits[0]
            # of the layer before the last: the mean over the heads, summed over the steps from the language token on
            values["attention"].append(out.cross_attentions[-2][0].mean(0)[1:].sum(0).tolist())
        values["beams"] = []
        for beams, length, penalty, early, ngram in [
            *itertools.product((5,), (20, 40), (1.0, 0.8), (False, True), (0,)),
            (5, 20, 1.0, False, 3), (2, 20, 1.0, False, 0), (5, 6, 1.0, False, 0), (5, 40, 2.0, False, 2), (1, 20, 1.0, False, 0),
            *itertools.product((3,), (24,), (0.0, -0.7), (False, True), (0,)),
            *itertools.product((2,), (30,), (1.3,), (False, True, "never"), (0,)),
            (3, 3, 1.0, False, 0), (3, 4, 0.0, "never", 0), (4, 24, 0.5, "never", 1), (4, 24, 1.0, True, 4),
        ]:
            case = {"beams": beams, "max_length": length, "length_penalty": penalty, "early_stopping": early,
                    "no_repeat_ngram": ngram, "outputs": []}
            for s in sources:
                out = model.generate(
                    torch.tensor([s]), forced_bos_token_id=CODE, num_beams=beams, max_length=length, length_penalty=penalty,
                    early_stopping=early, no_repeat_ngram_size=ngram, num_return_sequences=beams, do_sample=False,
                    return_dict_in_generate=True, output_scores=True,
                )
                best = []
                for j in range(beams):
                    ids = out.sequences[j].tolist()
                    while ids[-1] == 1:
                        ids.pop()
                    best.append({"tokens": ids, "score": out.sequences_scores[j].item() if beams > 1 else None})
                case["outputs"].append(best)
            values["beams"].append(case)
        ended = sum(b[0]["tokens"][-1] == 2 for c in values["beams"] for b in c["outputs"])
        total = sum(len(c["outputs"]) for c in values["beams"])
        values["ends"] = ends(model, sources, values["beams"][0]["outputs"])
        values["best_hypotheses_that_end"] = f"{ended} of {total}"
        values["padded"] = padded(model, sources, values["beams"][0])
        # No forced language.
        out = model.generate(torch.tensor([sources[2]]), num_beams=5, max_length=20, forced_bos_token_id=None,
                             return_dict_in_generate=True, output_scores=True)
        values["unforced"] = {"tokens": out.sequences[0].tolist(), "score": out.sequences_scores[0].item()}
    golden.save(directory, "reference/m2m100.py", SEED, tensors, values)
    print(values["best_hypotheses_that_end"])


if __name__ == "__main__":
    main()
