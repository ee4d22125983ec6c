"""A small model in the layout of M2M-100 (418M and 1.2B), with a head and embeddings of its own, and sources in
its tokens and NLLB's.

    python reference/translation.py

Writes testdata/models/m2m100-untied; sources.json there has the sources of all tokenizers.
"""

import json
import pathlib
import tempfile

import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer, NllbTokenizer, NllbTokenizerFast
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

import golden

SEED = 61
ROOT = pathlib.Path(__file__).resolve().parent.parent
SPM = ROOT / "internal" / "tokenizer" / "testdata" / "layouts" / "spm-nllb.model"
DEMO = ROOT / "internal" / "demo" / "models" / "nllb"
CODES = [f"__{c}__" for c in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
TEXTS = [
    "Coffee is served in small cups.", "", " ", "أهلا بكم في الجزائر", "12 cups, 3 dates", "a  b\tc",
    "The end </s> of it", "<pad>", "Write <mask> or <unk> here", "eng_Latn", "from arb_Arab to eng_Latn.",
    "__ar__ and __en__", "<s>hello</s>", "🜁 unknown 🜁🜁",
]


def tokenizer(directory):
    """M2M-100's own numbering: vocab.json gives the ids, not the SentencePiece model; some pieces are missing from it."""
    sp = sentencepiece.SentencePieceProcessor(str(SPM))
    pieces = [sp.id_to_piece(i) for i in range(3, sp.get_piece_size())]
    pieces = [p for i, p in enumerate(reversed(pieces)) if i % 50 != 7]
    vocabulary = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>"] + pieces)}
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d) / "vocab.json"
        path.write_text(json.dumps(vocabulary, ensure_ascii=False))
        tok = M2M100Tokenizer(str(path), str(SPM), additional_special_tokens=list(CODES))
        tok.save_pretrained(directory)
    return M2M100Tokenizer.from_pretrained(directory)


def model(directory, tok):
    cfg = M2M100Config(
        vocab_size=len(tok.encoder) + len(CODES) + 8, d_model=24, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=48, scale_embedding=True,
        activation_function="relu", decoder_start_token_id=2, bos_token_id=0, pad_token_id=1, eos_token_id=2, dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0, tie_word_embeddings=False,
    )
    m = M2M100ForConditionalGeneration(cfg).eval()
    golden.randomise(m, std=0.2)
    m.save_pretrained(directory, safe_serialization=True)
    # save_pretrained may drop what it takes for copies: every matrix is written, each different.
    weights = load_file(directory / "model.safetensors")
    shared = weights["model.shared.weight"]
    for name in ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"):
        weights[name] = torch.randn_like(shared) * 0.2
    weights["lm_head.weight"][2] *= 3  # so that some sentences end
    save_file({k: v.half() for k, v in weights.items()}, directory / "model.safetensors", metadata={"format": "pt"})


def load(directory, **settings):
    m = M2M100ForConditionalGeneration.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", **settings).eval()
    return m


def run(m, tok, texts):
    outputs = []
    for text in texts:
        ids = tok(text, return_tensors="pt").input_ids
        out = m.generate(ids, forced_bos_token_id=tok.get_lang_id("ar"), num_beams=3, max_length=16, do_sample=False, early_stopping=False,
                         return_dict_in_generate=True, output_scores=True)
        tokens = out.sequences[0].tolist()
        while tokens[-1] == 1:
            tokens.pop()
        outputs.append({"source": ids[0].tolist(), "tokens": tokens, "score": out.sequences_scores[0].item(),
                        "text": tok.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)})
    return outputs


def sources(tok, plain):
    rows = []
    for text in TEXTS:
        rows.append({"text": text, "ids": tok(text).input_ids,
                     "cut": tok(text, truncation=True, max_length=8).input_ids, "plain": plain(text)})
    return rows


def main():
    golden.start(SEED)
    directory = golden.ROOT / "m2m100-untied"
    directory.mkdir(parents=True, exist_ok=True)
    tok = tokenizer(directory)
    model(directory, tok)
    tok.src_lang = "en"
    values = {"texts": TEXTS[:6] + TEXTS[-1:]}
    with torch.no_grad():
        for name, settings in (("untied", {}), ("tied", {"tie_word_embeddings": True})):
            m = load(directory, **settings)
            same = [torch.equal(m.model.shared.weight, x.weight)
                    for x in (m.model.encoder.embed_tokens, m.model.decoder.embed_tokens, m.lm_head)]
            print(name, "encoder, decoder, head are the shared matrix:", same)
            values[name] = run(m, tok, values["texts"])
    golden.save(directory, "reference/translation.py", SEED, {"none": torch.zeros(1)}, values)
    (directory / "golden.safetensors").unlink()

    split = lambda t: (lambda text: t.build_inputs_with_special_tokens(
        t.convert_tokens_to_ids(t.tokenize(text, split_special_tokens=True))))
    rows = {"m2m100": sources(tok, split(tok))}
    for name, legacy in (("nllb", False), ("nllb-legacy", True)):
        fast = NllbTokenizerFast.from_pretrained(DEMO, legacy_behaviour=legacy, src_lang="eng_Latn")
        rows[name] = sources(fast, lambda text: fast(text, split_special_tokens=True).input_ids)
        slow = NllbTokenizer(str(SPM), src_lang="eng_Latn", legacy_behaviour=legacy)
        rows["slow-" + name] = sources(slow, split(slow))
    (directory / "sources.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
