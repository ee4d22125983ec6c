"""PiSSA and OLoRA as peft has them on checkpoints of testdata/models: lora-inits/NAME-INIT beside them.

    python reference/lora_inits.py

Each directory has the first product B·A of every module, the losses, norms and rates of 30 optimiser steps, and the adapter that
peft then saved with path_initial_model_for_weight_conversion: one of the base itself, of twice the rank. peft takes the first
product from the base weights. Signs of singular vectors are arbitrary, so that A and B are compared by their product.
"""

import json
import tempfile

import peft
import torch
import transformers

import golden
from lora_variants import COMMITTED

STEPS = 30
CASES = [("gemma2", "pissa", {}), ("gptneox", "pissa", {"use_rslora": True}), ("llama", "olora", {}), ("gptneox", "olora", {})]


def main():
    for i, (name, init, settings) in enumerate(CASES):
        golden.start(200 + i)
        known = json.loads((COMMITTED / name / "golden.json").read_text())
        model = transformers.AutoModelForCausalLM.from_pretrained(COMMITTED / name, dtype=torch.float32, attn_implementation="eager").eval()
        directory = golden.ROOT / "lora-inits" / f"{name}-{init}"
        cfg = peft.LoraConfig(r=4, lora_alpha=2, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM", init_lora_weights=init,
                              target_modules=golden.NEOX if name == "gptneox" else golden.GATED, **settings)
        pm = peft.get_peft_model(model, cfg)
        tensors, values = {}, {}
        for n, m in pm.named_modules():
            if hasattr(m, "lora_A") and "default" in m.lora_A:
                product = m.lora_B["default"].weight @ m.lora_A["default"].weight
                tensors["product." + n.removeprefix("base_model.model.")] = product
        with tempfile.TemporaryDirectory() as initial:
            pm.peft_config["default"].init_lora_weights = True  # as peft's examples save it
            pm.save_pretrained(initial)
            golden.steps(pm, known["sequences"], known["masks"], {}, values, count=STEPS, rate=2e-3, warmup=3)
            pm.peft_config["default"].init_lora_weights = init
            pm.save_pretrained(directory, path_initial_model_for_weight_conversion=initial)
        (directory / "README.md").unlink()
        config = json.loads((directory / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = name
        config["target_modules"].sort()
        (directory / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        golden.save(directory, "reference/lora_inits.py", 200 + i, tensors, values)
        print(directory.name, values["steps"][0]["loss"], values["steps"][-1]["loss"], config["r"], config["lora_alpha"])


if __name__ == "__main__":
    main()
