#!/usr/bin/env python3
"""Compiles the kernels with the pinned NVRTC into images.zip and manifest.json.

    python -m venv venv && venv/bin/pip install nvidia-cuda-nvrtc-cu12==12.4.127
    venv/bin/python build.py            # writes both files
    venv/bin/python build.py --check    # compares them with what the sources give

No GPU, no CUDA toolkit and no nvcc are needed. Newer NVRTC writes PTX that older drivers refuse:
12.4 writes PTX 8.4, which drivers from 550 read. A kernel that spills registers or needs a stack is
an error, and so is one whose registers or shared memory do not fit the blocks it is meant for.
"""
import ctypes
import hashlib
import io
import json
import os
import pathlib
import re
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "12.4.127"
HEADERS = ["kernel.h", "product.h", "rows.h", "attend.h"]
# Machine code for the chips of data centres; PTX for all others, which the driver translates.
TARGETS = {"sm_80": "cubin", "sm_90a": "cubin", "compute_80": "ptx"}
EVERYWHERE = ("attend", "attend_backward", "gemm", "gemm_nn", "head", "int8", "lists", "norms", "optim", "pack", "probe",
              "rows", "tf32", "values")
MODULES = {**{m: list(TARGETS) for m in EVERYWHERE}, "hopper": ["sm_90a"]}
SHARED_LIMIT = {"sm_80": 163 * 1024, "sm_90a": 227 * 1024, "compute_80": 163 * 1024}

# Dynamic shared memory by kernel, bytes. A product's is that of its stages, and of its tile in
# float32 where that is more (product.h).


def product(name):
    """Returns what the name of a product says: family, outputs and tokens of a block, stages, small."""
    if match := re.fullmatch(r"gemm_(?:wgmma_|tma_)?(\d+)x(\d+)_s(\d+)", name):
        return "bf16_tn", *map(int, match.groups()), False
    if match := re.fullmatch(r"gemm_small_t(\d+)_w(\d+)_s(\d+)", name):
        tokens, warps, stages = map(int, match.groups())
        return "bf16_tn", warps * 16, tokens, stages, True
    if match := re.fullmatch(r"gemm_group_t(\d+)_w(\d+)_s(\d+)", name):
        tokens, warps, stages = map(int, match.groups())
        return "bf16_group", warps * 16, tokens, stages, True
    if match := re.fullmatch(r"(f32_tn|f32_nn|f32_grad|bf16_nn|i8_tn)_(?:tma_)?(\d+)x(\d+)_s(\d+)", name):
        return match[1], *map(int, match.groups()[1:]), False
    return None


def stage_bytes(family, outputs, tokens):
    """Returns the bytes of a step along k: 128 of a row, or the padded tiles of tf32.cu."""
    if not family.startswith("f32"):
        return (outputs + tokens) * 128

    def tile(rows, transposed):
        return 4 * (32 * ((rows + 31) // 32 * 32 + 8) if transposed else rows * 36)

    return tile(outputs, family != "f32_tn") + tile(tokens, family == "f32_grad")


SIZES = {"f32": 4, "bf16": 2}


def attend_shared(kind, stored, width):
    """Rows of queries, one or two buffers of 64 rows, and scores (attend.cu)."""
    rows = 16 if kind else 64
    buffers = 1 if kind == "_least" or not kind and width == 256 and stored == "f32" else 2
    return (rows + 64 * buffers) * (width * SIZES[stored] + 16) + rows * 68 * 4


def backward_shared(keys, least, stored, width):
    """Rows of a block and the others that they meet, two tiles of each; scores; lse and delta of rows."""
    own, others = {128: (32, 32), 256: (16, 16)}[width] if least else (32 if width == 256 else 64, 32)
    scores = own * (others + 4) * (2 if keys else 1) + 2 * (others if keys else own)
    return (own + others) * 2 * (width * SIZES[stored] + 16) + scores * 4


def shared_bytes(name):
    if match := re.fullmatch(r"attend_(dq|dkv)(_least)?_(f32|bf16)_(\d+)", name):
        return backward_shared(match[1] == "dkv", bool(match[2]), match[3], int(match[4]))
    if match := re.fullmatch(r"attend(_few|_least)?_(f32|bf16)_(\d+)", name):
        return attend_shared(match[1], match[2], int(match[3]))
    if p := product(name):
        family, outputs, tokens, stages, small = p
        if small:
            return (outputs + tokens) * 256 * stages
        bytes = max(stage_bytes(family, outputs, tokens) * stages, tokens * (outputs + 4) * 4)
        return bytes + 16 * stages if "_tma_" in name else bytes  # two barriers a stage
    return SHARED.get(name, SHARED.get(re.sub("(_f32|_bf16)+$", "", name), 0))


# Of the other kernels that have some. A sum over a block takes 32 bytes in float32 and 2048 in float64.
SHARED = {"rms_norm": 32, "rms_norm_backward": 64, "add_rms_norm": 64, "layer_norm": 64, "layer_norm_backward": 128,
          "column_dots": 2048, "sum_squares": 2048, "fold64": 2048, "dot64": 2048,
          "head_scan": 2048, "head_top": 2048 * 8 + 256 * 8 + 256 * 4 + 40,
          # 64 values for each of 8 warps:
          "hadamard": 2048, "quantize_rows": 2048, "quantize_weights_f32": 2048, "quantize_weights_bf16": 2048}


def options(target):
    # Without contraction the emulator's arithmetic is the GPU's; where a fused operation is meant, the
    # source says fma_.
    plain = [f"--gpu-architecture={target}", "--std=c++17", "--fmad=false"]
    return [*plain, "--ptxas-options=-v"] if target.startswith("sm_") else plain


class Compiler:
    def __init__(self):
        try:
            from importlib.metadata import PackageNotFoundError, distribution

            wheel = distribution("nvidia-cuda-nvrtc-cu12")
        except PackageNotFoundError:
            sys.exit(f"build.py: NVRTC is missing: pip install nvidia-cuda-nvrtc-cu12=={VERSION}")
        if wheel.version != VERSION:
            sys.exit(f"build.py: NVRTC is {wheel.version}, the images need {VERSION}")
        library = next(f for f in wheel.files if f.name == "libnvrtc.so.12")
        self.nvrtc = ctypes.CDLL(str(library.locate()))

    def take(self, program, size, get):
        n = ctypes.c_size_t()
        getattr(self.nvrtc, size)(program, ctypes.byref(n))
        buffer = ctypes.create_string_buffer(n.value)
        getattr(self.nvrtc, get)(program, buffer)
        return buffer.raw

    def compile(self, module, target):
        """Returns what `compiled` returns, without --check from the cache if nothing it read has changed."""
        texts = [(HERE / name).read_bytes() for name in [f"{module}.cu", *HEADERS]]
        read = [texts[0]] + [t for h, t in zip(HEADERS, texts[1:]) if h == "kernel.h" or f'"{h}"'.encode() in texts[0]]
        key = hashlib.sha256(b"\0".join([VERSION.encode(), " ".join(options(target)).encode(), *read])).hexdigest()
        kept = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "barka-nvrtc" / key
        if kept.exists() and "--check" not in sys.argv[1:]:
            log, _, image = kept.read_bytes().partition(b"\0")
            return image, log.decode()
        image, log = self.compiled(module, target)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(log.encode() + b"\0" + image)
        return image, log

    def compiled(self, module, target):
        """Returns the image and the compiler's log."""
        program = ctypes.c_void_p()
        self.nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), (HERE / f"{module}.cu").read_bytes(), f"{module}.cu".encode(), len(HEADERS),
            (ctypes.c_char_p * len(HEADERS))(*[(HERE / h).read_bytes() for h in HEADERS]),
            (ctypes.c_char_p * len(HEADERS))(*[h.encode() for h in HEADERS]))
        encoded = [o.encode() for o in options(target)]
        failed = self.nvrtc.nvrtcCompileProgram(program, len(encoded), (ctypes.c_char_p * len(encoded))(*encoded))
        log = self.take(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").rstrip(b"\0").decode()
        if failed:
            sys.exit(f"build.py: {module}.cu for {target}:\n{log}")
        kind = "CUBIN" if target.startswith("sm_") else "PTX"
        image = self.take(program, f"nvrtcGet{kind}Size", f"nvrtcGet{kind}")
        self.nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return image, log


def bounds(module):
    """Returns {kernel: (threads per block, blocks per multiprocessor)} from the PTX."""
    found = {}
    pattern = r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+), 1, 1\s*(?:\.minnctapersm (\d+))?"
    for name, threads, blocks in re.findall(pattern, module):
        found[name] = (int(threads), int(blocks or 1))
    return found


def resources(log):
    """Returns {kernel: (registers, stack, spilled bytes)} from ptxas's report."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        name = part.split("'", 1)[0]
        stack, stores, loads = map(int, re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups())
        found[name] = (int(re.search(r"Used (\d+) registers", part).group(1)), stack, stores + loads)
    return found


def build():
    compiler, images, kernels, faults = Compiler(), {}, {}, []
    for module, targets in MODULES.items():
        ptx, _ = compiler.compile(module, "compute_80" if "compute_80" in targets else "compute_90a")
        limits = bounds(ptx.decode())
        for target in targets:
            image, log = compiler.compile(module, target)
            images[f"{module}.{target}.{TARGETS[target]}"] = image
            for name, (registers, stack, spilled) in resources(log).items():
                threads, blocks = limits[name]
                shared = shared_bytes(name)
                kernel = kernels.setdefault(
                    name, {"module": module, "threads": threads, "blocks": blocks, "shared": shared, "registers": {}})
                kernel["registers"][target] = registers
                if p := product(name):
                    kernel.update(family=p[0], outputs=p[1], tokens=p[2], small=p[4], maps="_tma_" in name)
                if spilled or stack:
                    faults.append(f"{name} for {target}: {spilled} bytes spilled, {stack} bytes of stack")
                if blocks * (shared + 1024) > SHARED_LIMIT[target] + 1024:
                    kernel.setdefault("over", []).append(target)
                if registers * threads * blocks > 65536:
                    faults.append(f"{name} for {target}: {registers} registers × {threads} threads × {blocks} blocks")
    if faults:
        sys.exit("build.py: " + "\n".join(faults))
    sources = hashlib.sha256()
    for name in HEADERS + sorted(f"{m}.cu" for m in MODULES):
        sources.update((HERE / name).read_bytes())
    manifest = {
        "nvrtc": VERSION,
        "sources": sources.hexdigest(),
        "images": {name: hashlib.sha256(image).hexdigest() for name, image in sorted(images.items())},
        "kernels": dict(sorted(kernels.items())),
    }
    return images, manifest


def main():
    images, manifest = build()
    archive, table = HERE / "images.zip", HERE / "manifest.json"
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        stored = zipfile.ZipFile(archive)
        stale = [n for n in sorted(set(images) | set(stored.namelist()))
                 if n not in images or n not in stored.namelist() or stored.read(n) != images[n]]
        if table.read_text() != text:
            stale.append("manifest.json")
        if stale:
            sys.exit(f"build.py: not what the sources give: {', '.join(stale)}; run build.py and commit")
        print(f"{len(images)} images and {len(manifest['kernels'])} kernels are current; nothing spills")
        return
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name in sorted(images):
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), images[name], zipfile.ZIP_DEFLATED, 9)
    archive.write_bytes(buffer.getvalue())
    table.write_text(text)
    print(f"images.zip: {len(buffer.getvalue())} bytes, {sum(map(len, images.values()))} unpacked")
    for name, k in manifest["kernels"].items():
        print(f"{name:24} {k['threads']:4} threads  {k['shared']:7} bytes  registers {k['registers']}")


if __name__ == "__main__":
    main()
