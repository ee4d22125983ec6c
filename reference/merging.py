"""Combinations of adapters by peft and of models by published definitions: testdata/merging.

    python reference/merging.py

`adapters`: adapters of testdata/models/llama, and what peft's add_weighted_adapter makes of them. In peft 0.18 method svd
multiplies by the scale of an adapter twice, so that the adapters of its golden have a scale of 1.

`models`: a base and three models of a few tensors, and their combinations, in float64 unless rounding decides:
- linear: the weighted mean (Wortsman et al., "Model soups", 2022).
- slerp: the arc between two vectors (Shoemake, 1985), a straight line if their cosine is above 0.9995.
- ties: trim, elect the sign, disjoint mean (Yadav et al., "TIES-Merging", 2023, algorithm 1), per tensor, with weights.
"""

import json
import os
import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import save_file

import golden

ROOT = pathlib.Path(os.environ["BARKA_GOLDENS"]) / "merging" if os.environ.get("BARKA_GOLDENS") else golden.ROOT.parent / "merging"
LLAMA = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "models" / "llama"

# Name, rank, alpha, targets of the adapters.
ADAPTERS = [("a", 4, 8, ["q_proj", "v_proj"]), ("b", 4, 2, ["v_proj", "down_proj"]), ("c", 4, 4, ["q_proj", "v_proj"]),
            ("d", 2, 2, ["q_proj", "v_proj"])]
# Name of the result, adapters, weights, method, rank.
COMBINATIONS = [("linear", ["a", "b"], [0.7, 0.4], "linear", None), ("cat", ["a", "b", "d"], [0.7, -0.4, 2.0], "cat", None),
                ("svd", ["c", "d"], [0.7, 0.4], "svd", 3), ("svd-largest", ["c", "d"], [0.7, 0.4], "svd", None)]


def keep(source, to):
    """Copies an adapter as peft saved it, without what depends on the machine."""
    to.mkdir(parents=True)
    shutil.copy(source / "adapter_model.safetensors", to)
    config = json.loads((source / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "llama"
    config["target_modules"] = sorted(config["target_modules"])
    (to / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def adapters():
    golden.start(7)
    model = transformers.AutoModelForCausalLM.from_pretrained(LLAMA, dtype=torch.float32)
    pm = None
    unique = lambda name: f"named-{name}-"  # peft saves the tensors whose names contain that of the adapter
    for name, rank, alpha, targets in ADAPTERS:
        name = unique(name)
        cfg = peft.LoraConfig(r=rank, lora_alpha=alpha, task_type="CAUSAL_LM", target_modules=targets)
        if pm is None:
            pm = peft.get_peft_model(model, cfg, adapter_name=name)
        else:
            pm.add_adapter(name, cfg)
    with torch.no_grad():
        for n, p in pm.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.1)
    for name, parts, weights, method, rank in COMBINATIONS:
        pm.add_weighted_adapter([unique(p) for p in parts], weights, unique(name), combination_type=method, svd_rank=rank)
    for p in pm.parameters():
        p.data = p.data.contiguous()
    tmp = ROOT / "tmp"
    pm.save_pretrained(tmp)
    for name in [a[0] for a in ADAPTERS] + [c[0] for c in COMBINATIONS]:
        keep(tmp / unique(name), ROOT / "adapters" / name)
    shutil.rmtree(tmp)


def linear(tensors, weights):
    return sum(w * t.double() for w, t in zip(weights, tensors)) / sum(weights)


def slerp(tensors, t):
    a, b = (x.double().flatten() for x in tensors)
    cos = torch.dot(a / a.norm(), b / b.norm())
    if cos.abs() > 0.9995:
        return linear(tensors, [1 - t, t])
    theta = torch.arccos(cos)
    return ((torch.sin((1 - t) * theta) * a + torch.sin(t * theta) * b) / torch.sin(theta)).reshape(tensors[0].shape)


def ties(base, tensors, weights, density, scale):
    kept = []
    for t in tensors:
        change = t.float() - base.float()
        k = int(density * change.numel())
        mask = torch.zeros(change.numel())
        mask[change.abs().flatten().sort(descending=True, stable=True).indices[:k]] = 1  # of equal ones the first
        kept.append((change * mask.reshape(change.shape)).double())
    sign = sum(w * c for w, c in zip(weights, kept)).sign()
    agree = [(c.sign() == sign) & (c != 0) for c in kept]
    total = sum(w * a for w, a in zip(weights, agree))
    mean = sum(w * c * a for w, c, a in zip(weights, kept, agree)) / total.clamp(min=1e-30)
    return base.double() + scale * torch.where(total > 0, mean, 0)


def models():
    torch.manual_seed(11)
    shapes = {"model.embed_tokens.weight": (50, 24), "model.layers.0.mlp.up_proj.weight": (60, 48), "model.norm.weight": (24,)}
    base = {n: torch.randn(s) * 0.3 for n, s in shapes.items()}
    base["model.layers.0.half.weight"] = (torch.randn(30, 24) * 0.3).bfloat16()
    sets = {"base": base}
    for i, name in enumerate("abc"):
        sets[name] = {n: (t.float() + 0.1 * (i + 1) * torch.randn(t.shape)).to(t.dtype) for n, t in base.items()}
    sets["b"]["model.norm.weight"] = sets["a"]["model.norm.weight"] * 1.5  # the same direction
    results = {}
    for n in base:
        a, b, c = (sets[x][n] for x in "abc")
        results["linear." + n] = linear([a, b, c], [2, 1, 1])
        results["slerp." + n] = slerp([a, b], 0.25)
        results["ties." + n] = ties(base[n], [a, b, c], [0.5, 0.25, 0.25], 0.2, 1.0)
        results["ties-scaled." + n] = ties(base[n], [a, b], [0.5, 0.5], 0.6, 0.7)
    for name, tensors in sets.items():
        directory = ROOT / "models" / name
        directory.mkdir(parents=True)
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        (directory / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}\n')
    save_file({k: v.float().contiguous() for k, v in results.items()}, ROOT / "models" / "golden.safetensors")


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    adapters()
    models()
