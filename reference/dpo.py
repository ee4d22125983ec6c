"""One hundred optimiser steps of TRL's DPOTrainer in float32 for checkpoints of testdata/models: dpo/NAME.json beside them.

    python -m venv DIR && DIR/bin/pip install -r reference/requirements.txt -r reference/requirements-dpo.txt
    DIR/bin/python reference/dpo.py

Policy and reference start from NAME/adapter. Each step takes four pairs of random tokens in order, in two micro-batches; beta 0.3,
AdamW, rate 1e-3 with a cosine to 0 and 4 steps of warm-up, gradients clipped to 1. The trainer's collator, loss and optimiser are
TRL's; only its tokenization is left out, so that the pairs are the same tokens for both programs.
"""

import json
import pathlib
import random
import tempfile

import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models
from torch.utils.data import SequentialSampler
from trl import DPOConfig, DPOTrainer

import golden
import peers

NAMES = ("gemma2", "llama", "gptneox", "qwen3")
COMMITTED = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "models"
BETA, RATE, WARMUP, STEPS, PAIRS, MICRO, MICROS = 0.3, 1e-3, 4, 100, 16, 2, 2


def pairs(vocabulary):
    draw = random.Random(7)
    ids = lambda least, most: [draw.randrange(3, vocabulary) for _ in range(draw.randint(least, most))]
    return [{"prompt": ids(2, 9), "chosen": ids(1, 8), "rejected": ids(1, 8)} for _ in range(PAIRS)]


def padding():
    """TRL asks for a tokenizer, of which rows of tokens need the token that pads."""
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")


class Recorded(DPOTrainer):
    def __init__(self, *args, **kwargs):
        self.losses, self.margins, self.right = [], [], []
        super().__init__(*args, **kwargs)

    def _prepare_dataset(self, dataset, *_args, **_kwargs):
        return dataset

    def _get_train_sampler(self, dataset=None):
        return SequentialSampler(dataset if dataset is not None else self.train_dataset)

    def get_batch_loss_metrics(self, model, batch, train_eval="train"):
        loss, metrics = super().get_batch_loss_metrics(model, batch, train_eval)
        self.losses.append(loss.item())
        self.margins.append(metrics["rewards/margins"])
        self.right.append(metrics["rewards/accuracies"])
        return loss, metrics


def steps(name, rows):
    directory = COMMITTED / name
    policy = peers.load(directory, "f32", directory / "adapter", trainable=True)
    reference = peers.load(directory, "f32", directory / "adapter")
    data = Dataset.from_list([{f"{k}_input_ids": v for k, v in row.items()} for row in rows])
    with tempfile.TemporaryDirectory() as out:
        args = DPOConfig(output_dir=out, max_steps=STEPS, per_device_train_batch_size=MICRO, gradient_accumulation_steps=MICROS,
                         learning_rate=RATE, lr_scheduler_type="cosine", warmup_steps=WARMUP, beta=BETA, max_grad_norm=1.0,
                         logging_steps=1, use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True, max_length=None,
                         max_prompt_length=None, gradient_checkpointing=False, bf16=False, remove_unused_columns=False)
        trainer = Recorded(model=policy, ref_model=reference, args=args, train_dataset=data, processing_class=padding())
        trainer.train()
    logs = [log for log in trainer.state.log_history if "grad_norm" in log]
    mean = lambda values, i: sum(values[i * MICROS:(i + 1) * MICROS]) / MICROS
    return [{"loss": mean(trainer.losses, i), "lr": log["learning_rate"], "grad_norm": float(log["grad_norm"]),
             "margin": mean(trainer.margins, i), "accuracy": mean(trainer.right, i)} for i, log in enumerate(logs)]


def main():
    golden.start(0)
    for name in NAMES:
        rows = pairs(json.loads((COMMITTED / name / "config.json").read_text())["vocab_size"])
        taken = steps(name, rows)
        head = {"script": "reference/dpo.py", "torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__}
        directory = golden.ROOT / "dpo"
        directory.mkdir(parents=True, exist_ok=True)
        lines = lambda values: ",\n".join("  " + json.dumps(value) for value in values)
        settings = {"beta": BETA, "rate": RATE, "warmup": WARMUP, "batch": MICRO * MICROS}
        (directory / f"{name}.json").write_text(
            f'{{\n "provenance": {json.dumps(head)},\n "settings": {json.dumps(settings)},\n "pairs": [\n{lines(rows)}\n ],\n'
            f' "steps": [\n{lines(taken)}\n ]\n}}\n')
        print(name, taken[0]["loss"], taken[-1]["loss"])


if __name__ == "__main__":
    main()
