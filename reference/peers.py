"""Shared by the scripts that hold barka's output against transformers and peft."""

import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def start(threads=1):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def load(directory, dtype="f32", adapter=None, trainable=False):
    """A causal model with eager attention, and an adapter in float32 if one is named."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=DTYPES[dtype], attn_implementation="eager")
    if adapter:
        from peft import PeftModel
        model = PeftModel.from_pretrained(model, adapter, is_trainable=trainable)
    return model.train(trainable)


def tokenizer(directory):
    return AutoTokenizer.from_pretrained(directory)


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float()


def jsonl(path):
    lines = sys.stdin if path == "-" else open(path, encoding="utf-8")
    return [json.loads(line) for line in lines if line.strip()]


def write(value):
    print(json.dumps(value, ensure_ascii=False), flush=True)


def verdict(what, difference, tolerance):
    """Prints the difference of two results, and exits with status 1 if it is too large."""
    close = difference <= tolerance
    print(f"{what}: largest difference {difference:.3g}, allowed {tolerance:.3g}: {'same' if close else 'DIFFERENT'}", file=sys.stderr)
    sys.exit(0 if close else 1)
