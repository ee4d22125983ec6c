"""Shared by the golden writers: where files go and how they are stored."""

import json
import os
import pathlib

import peft
import torch
import transformers
from safetensors.torch import save_file

# verify.py sets BARKA_GOLDENS to write elsewhere.
ROOT = pathlib.Path(os.environ.get("BARKA_GOLDENS") or pathlib.Path(__file__).resolve().parent.parent / "testdata" / "models")


def start(seed):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()


def randomise(model, std=0.12):
    """Spread the weights so that caps, windows, biases and norms matter."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.5 if "norm" in name else std
            base = 1.0 if "norm" in name and name.endswith("weight") and "Gemma" not in type(model).__name__ else 0.0
            p.copy_(base + torch.randn_like(p) * scale)


def save(directory, script, seed, tensors, values):
    directory.mkdir(parents=True, exist_ok=True)
    values["provenance"] = {
        "script": script, "seed": seed, "torch": torch.__version__,
        "transformers": transformers.__version__, "peft": peft.__version__,
    }
    save_file({k: v.detach().contiguous().float() for k, v in tensors.items()}, directory / "golden.safetensors")
    (directory / "golden.json").write_text(json.dumps(values, indent=1) + "\n")


def sequences(vocab, lengths, first=None):
    out = []
    for n in lengths:
        ids = torch.randint(4, vocab, (n,)).tolist()
        if first is not None:
            ids[0] = first
        out.append(ids)
    return out


def decoder_goldens(model, seqs, tensors, values):
    """Each sequence runs alone: logits and final hidden states, greedy text, log-likelihoods."""
    model.eval()
    with torch.no_grad():
        for i, ids in enumerate(seqs):
            out = model(torch.tensor([ids]), output_hidden_states=True)
            tensors[f"logits.{i}"] = out.logits[0]
            tensors[f"hidden.{i}"] = out.hidden_states[-1][0]
        values["sequences"] = seqs
        values["greedy"] = []
        for prompt in (seqs[1], seqs[3]):
            out = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, return_dict_in_generate=True,
                                 output_logits=True, eos_token_id=None, pad_token_id=0)
            new = out.sequences[0][len(prompt):].tolist()
            logp = [torch.log_softmax(l[0].float(), -1)[t].item() for l, t in zip(out.logits, new)]
            values["greedy"].append({"prompt": prompt, "tokens": new, "logprobs": logp})
        values["loglikelihoods"] = []
        for ids in seqs[2:]:
            for cut in (1, len(ids) // 2, len(ids) - 1):
                logp = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1)
                per = [logp[j - 1, ids[j]].item() for j in range(cut, len(ids))]
                greedy = all(logp[j - 1].argmax().item() == ids[j] for j in range(cut, len(ids)))
                values["loglikelihoods"].append({"context": ids[:cut], "continuation": ids[cut:], "logprobs": per, "greedy": greedy})
            # A continuation that is greedy by construction.
        g = values["greedy"][0]
        values["loglikelihoods"].append({"context": g["prompt"], "continuation": g["tokens"][:5], "logprobs": g["logprobs"][:5], "greedy": True})
