"""Variants of LoRA as peft computes them on checkpoints of testdata/models: lora-variants/NAME-VARIANT beside them.

    python reference/lora_variants.py

Each directory has an adapter with random values, the logits of the adapted and of the merged model, loss and gradients, and the
losses, norms and rates of 100 optimiser steps. The sequences and masks are those of NAME/golden.json.

- dora: use_dora, with magnitudes that differ from the norms of the rows.
- rslora: use_rslora, with rank_pattern and alpha_pattern.
- pattern: target_modules as a regular expression, exclude_modules.
- layers: layers_to_transform.
- full: modules_to_save, embeddings and head, one of them, tied (gemma2, qwen2) or not.
"""

import copy
import json

import peft
import torch
import transformers

import golden

COMMITTED = golden.pathlib.Path(__file__).resolve().parent.parent / "testdata" / "models"
STEPS = 100
VARIANTS = {
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True, "rank_pattern": {"layers.1.*": 2}, "alpha_pattern": {"(up_proj|dense_4h_to_h)": 3}},
    "dora-rslora": {"use_dora": True, "use_rslora": True},
    "pattern": {"target_modules": r".*layers\.\d\.(self_attn|attention)\..*", "exclude_modules": ["o_proj", "dense"]},
    "full": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "full-embeddings": {"modules_to_save": ["embed_tokens"], "use_dora": True},
    "full-head": {"modules_to_save": ["lm_head"]},
    "layers": {"layers_to_transform": [1], "layers_pattern": "layers"},
}
CASES = [("gemma2", "dora"), ("gemma2", "rslora"), ("gptneox", "dora"), ("gptneox", "rslora"), ("qwen2", "dora-rslora"),
         ("llama", "pattern"), ("gptneox", "layers"), ("gemma2", "full"), ("gemma2", "full-embeddings"), ("gptneox", "full"),
         ("qwen2", "full-head")]


def adapt(model, targets, settings):
    settings = {"target_modules": targets, **settings}
    cfg = peft.LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM", **settings)
    pm = peft.get_peft_model(model, cfg)
    with torch.no_grad():
        for n, p in pm.named_parameters():
            if "modules_to_save" in n:
                p.add_(torch.randn_like(p) * 0.02)
            elif "lora_magnitude" in n:
                p.mul_(1 + 0.2 * torch.randn_like(p))
            elif "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.1)
    return pm


def main():
    for i, (name, variant) in enumerate(CASES):
        golden.start(100 + i)
        known = json.loads((COMMITTED / name / "golden.json").read_text())
        model = transformers.AutoModelForCausalLM.from_pretrained(COMMITTED / name, dtype=torch.float32, attn_implementation="eager").eval()
        directory = golden.ROOT / "lora-variants" / f"{name}-{variant}"
        settings = dict(VARIANTS[variant])
        if name == "gptneox" and "modules_to_save" in settings:
            settings["modules_to_save"] = ["embed_in", "embed_out"]
        pm = adapt(model, golden.NEOX if name == "gptneox" else golden.GATED, settings).eval()
        pm.save_pretrained(directory)
        (directory / "README.md").unlink()
        config = json.loads((directory / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = name
        for names in (config["target_modules"], config["exclude_modules"]):
            if isinstance(names, list):
                names.sort()
        (directory / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        seqs, masks = known["sequences"], known["masks"]
        tensors, values = {}, {"trained_tokens": known["trained_tokens"]}
        loss = sum(golden.loss_sum(pm, s, m) for s, m in zip(seqs, masks)) / known["trained_tokens"]
        loss.backward()
        values["lora_loss"] = loss.item()
        for n, p in pm.named_parameters():
            if "modules_to_save" in n:
                tensors["grad." + n.replace(".modules_to_save.default", "")] = p.grad
            elif "lora_" in n:
                tensors["grad." + n.replace(".default", "").removesuffix(".weight" if "magnitude" in n else "\0")] = p.grad
        merged = copy.deepcopy(pm).merge_and_unload().eval()
        with torch.no_grad():
            for j in (1, 4):
                tensors[f"adapter_logits.{j}"] = pm(torch.tensor([seqs[j]])).logits[0]
                tensors[f"merged_logits.{j}"] = merged(torch.tensor([seqs[j]])).logits[0]
        golden.steps(pm, seqs, masks, {}, values, count=STEPS, rate=5e-4, warmup=5)
        golden.save(directory, "reference/lora_variants.py", 100 + i, tensors, values)
        print(directory.name, values["lora_loss"], values["steps"][-1]["loss"])


if __name__ == "__main__":
    main()
