"""Files of torch.save, as barka reads them, beside the same weights in safetensors.

    python reference/torchfile.py       writes testdata/torch; needs testdata/models
"""

import collections
import io
import json
import os
import pathlib
import pickle
import shutil
import zipfile

import peft
import torch
import transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata"
MODELS, OUT = ROOT / "models", pathlib.Path(os.environ.get("BARKA_GOLDENS") or ROOT / "torch")
torch.manual_seed(16)
transformers.logging.set_verbosity_error()


def layouts():
    """Every way in which a tensor can lie in a storage, and every type of values."""
    x = torch.randn(6, 10)
    state = collections.OrderedDict()
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        state[f"plain.{str(dtype)[6:]}"] = x.to(dtype).clone()
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        state[f"plain.{str(dtype)[6:]}"] = torch.arange(7).to(dtype)
    state["plain.bool"] = torch.arange(5) % 2 == 0
    state["base"] = x
    state["tied"] = x
    state["rows"] = x[2:5]
    state["transposed"] = x.t()
    state["columns"] = x[:, 3:7]
    state["corner"] = x[1:, 1:]
    state["strided"] = x[::2, ::3]
    state["cube"] = torch.randn(2, 3, 4, 5).permute(3, 0, 2, 1)
    state["cube.bf16"] = torch.randn(3, 4, 5).bfloat16().transpose(0, 2)
    state["expanded"] = torch.randn(1, 4).expand(3, 4)
    state["one.row"] = torch.randn(9, 3)[4:5].t()[:, :1]
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    state["parameter"] = torch.nn.Parameter(torch.randn(3, 2))
    state["buffer.parameter"] = torch.nn.Parameter(torch.randn(4), requires_grad=False)
    named = torch.nn.Parameter(torch.randn(2, 2))
    named.note = "an attribute"
    state["parameter.state"] = named
    state["size"] = torch.zeros(torch.Size([2, 3]))
    state._metadata = collections.OrderedDict({"": {"version": 1}, "base": {"version": 2}})
    return state


def save_1_6(state, path):
    """The layout of PyTorch 1.6: members named after addresses, in their order as texts, no member for
    the byte order, and a pickle whose tensors carry no flags."""
    storages = {}

    def persistent_id(obj):
        if not isinstance(obj, torch.storage.TypedStorage):
            return None
        key = str(obj._untyped_storage._cdata)
        storages[key] = obj._untyped_storage
        return ("storage", getattr(torch, obj.pickle_storage_type()), key, "cpu", obj.size())

    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=2)
    pickler.persistent_id = persistent_id
    pickler.dump(state)
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record("data.pkl", buffer.getvalue(), len(buffer.getvalue()))
    for key in sorted(storages):
        writer.write_record(f"data/{key}", storages[key], storages[key].nbytes())
    writer.write_end_of_file()


def deflate(source, path):
    """The same archive, compressed by another program."""
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as b:
        for info in a.infolist():
            b.writestr(info.filename, a.read(info))


def write_layouts():
    state = layouts()
    save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, OUT / "layouts.safetensors")
    (OUT / "layouts.safetensors").chmod(0o644)
    torch.save(state, OUT / "layouts.bin")
    torch.save(state, OUT / "layouts-protocol5.bin", pickle_protocol=5)
    torch.save(dict(state), OUT / "layouts-dict.bin")
    save_1_6(state, OUT / "layouts-1.6.bin")
    deflate(OUT / "layouts.bin", OUT / "layouts-deflated.bin")
    torch.save({"x": torch.zeros(2)}, OUT / "legacy.bin", _use_new_zipfile_serialization=False)


def write_gemma2():
    """A whole model in one file, its head tied, and a PEFT adapter."""
    model = transformers.AutoModelForCausalLM.from_pretrained(MODELS / "gemma2")
    model.save_pretrained(OUT / "gemma2", safe_serialization=False)
    adapter = peft.PeftModel.from_pretrained(model, MODELS / "gemma2" / "adapter")
    adapter.save_pretrained(OUT / "gemma2" / "adapter", safe_serialization=False)
    (OUT / "gemma2" / "adapter" / "README.md").unlink()


def write_gemma2_bf16():
    """Shards as transformers makes them."""
    model = transformers.AutoModelForCausalLM.from_pretrained(MODELS / "gemma2-bf16", dtype=torch.bfloat16)
    model.save_pretrained(OUT / "gemma2-bf16", safe_serialization=False, max_shard_size="48KB")


def write_m2m100():
    """Shards as those of NLLB-200-3.3B: the shared embedding is in each of them, under another name."""
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(MODELS / "m2m100")
    directory = OUT / "m2m100"
    model.save_pretrained(directory, safe_serialization=False)
    (directory / "pytorch_model.bin").unlink()
    state = model.state_dict()
    shards = [{}, {}, {}]
    for name, tensor in state.items():
        i = 0 if name.startswith(("model.shared", "model.encoder")) else 1 if name.startswith("model.decoder") else 2
        if name.endswith("embed_tokens.weight") or name == "lm_head.weight":
            tensor = shards[0]["model.shared.weight"] if i == 0 else tensor.clone()
        shards[i][name] = tensor
    names = [f"pytorch_model-{i + 1:05}-of-00003.bin" for i in range(3)]
    for shard, name in zip(shards, names):
        torch.save(shard, directory / name)
    index = {"metadata": {"total_size": sum(t.nbytes for t in state.values())},
             "weight_map": {k: n for s, n in zip(shards, names) for k in s}}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    write_layouts()
    write_gemma2()
    write_gemma2_bf16()
    write_m2m100()
