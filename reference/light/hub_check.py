"""barka and huggingface_hub on one cache, against the tests' own hub server; run by .ci/run.

    python reference/light/hub_check.py BARKA HUBSERVER DEMO_DIRECTORY
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

MODEL, DATASET, PROGRAM = "org/gemma", "OALL/ACVA", "juletxara/xstory_cloze"


def tree(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(pathlib.Path(directory).rglob("*")) if p.is_file()}


def cache_layout(cache):
    """The names below a cache that mean something to its readers, with the targets of links.

    What each tool keeps for itself is left out.
    """
    out = {}
    for p in sorted(pathlib.Path(cache).rglob("*")):
        name = str(p.relative_to(cache))
        repo, *below = name.split("/")
        shared = repo.startswith(("models--", "datasets--")) and below and below[0] in ("blobs", "refs", "snapshots")
        if shared and not p.is_dir():
            out[name] = os.readlink(p) if p.is_symlink() else p.read_bytes()
    return out


def main():
    barka, hubserver, demo = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    work = pathlib.Path(tempfile.mkdtemp())
    repos = work / "repos"
    shutil.copytree(demo / "inputs/models/gemma2", repos / "models" / MODEL)
    (repos / "models" / MODEL / "README.md").write_text("# not asked for\n")
    shutil.copytree(demo / "inputs/data/benchmarks" / DATASET, repos / "datasets" / DATASET)
    for name in ("datasets/" + PROGRAM, "datasets/" + PROGRAM + "@convert/ar/eval"):
        (repos / name).mkdir(parents=True)
    (repos / "datasets" / PROGRAM / "xstory_cloze.py").write_text("import datasets\n")
    (repos / "datasets" / (PROGRAM + "@convert") / "ar/eval/0000.parquet").write_bytes(b"PAR1 of no consequence PAR1")

    server = subprocess.Popen([hubserver, str(repos)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    base = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    base |= {"HF_ENDPOINT": url, "HF_HOME": str(work / "home"), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    os.environ.update(base)
    import huggingface_hub  # reads the environment once
    from huggingface_hub import hf_hub_download, snapshot_download

    def run(cache, *args, endpoint=url):
        env = base | {"HF_HUB_CACHE": str(cache), "HF_ENDPOINT": endpoint}
        return subprocess.run([barka, *args, "--quiet"], env=env, capture_output=True, text=True, check=True).stdout.strip()

    # The server speaks the protocol: the library downloads from it.
    theirs, ours = work / "theirs", work / "ours"
    patterns = ["config.json", "generation_config.json", "tokenizer*", "*.safetensors"]
    theirs_model = snapshot_download(MODEL, cache_dir=theirs, allow_patterns=patterns)
    theirs_data = snapshot_download(DATASET, repo_type="dataset", cache_dir=theirs)
    snapshot_download(PROGRAM, repo_type="dataset", revision="refs/convert/parquet", cache_dir=theirs)
    want = tree(repos / "models" / MODEL)
    del want["README.md"]
    assert tree(theirs_model) == want and tree(theirs_data) == tree(repos / "datasets" / DATASET)

    # What barka downloads, the library finds, and both made the same cache.
    ours_model = run(ours, "download", MODEL)
    ours_data = run(ours, "download", "--dataset", DATASET)
    run(ours, "download", "--dataset", PROGRAM)
    assert snapshot_download(MODEL, cache_dir=ours, local_files_only=True, allow_patterns=patterns) == ours_model
    assert snapshot_download(DATASET, repo_type="dataset", cache_dir=ours, local_files_only=True) == ours_data
    for name, data in want.items():
        assert pathlib.Path(hf_hub_download(MODEL, name, cache_dir=ours, local_files_only=True)).read_bytes() == data
    a, b = cache_layout(theirs), cache_layout(ours)
    assert a == b, {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
    # It goes on from there without fetching a file again: blobs keep their times.
    before = {p: p.stat().st_mtime_ns for p in ours.rglob("blobs/*")}
    snapshot_download(MODEL, cache_dir=ours)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert (pathlib.Path(ours_model) / "README.md").exists()

    # Who holds the library's lock of a blob is waited for.
    from filelock import FileLock

    shutil.rmtree(ours / "models--org--gemma")
    blob = next(p.name for p in theirs.glob("models--org--gemma/blobs/*") if len(p.name) == 64)
    with FileLock(ours / ".locks/models--org--gemma" / (blob + ".lock")):
        waiting = subprocess.Popen([barka, "download", MODEL], env=base | {"HF_HUB_CACHE": str(ours)},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in waiting.stderr:
            if "another process is downloading it" in line:
                break
        assert waiting.poll() is None
    waiting.stderr.read()
    assert waiting.wait() == 0

    # What the library downloaded, barka uses, with the server gone.
    server.stdin.close()
    server.wait()
    ids = [subprocess.run([barka, "tokenize", "--model", m], input="مرحبا\n",
                          env=base | {"HF_HUB_CACHE": str(theirs)}, capture_output=True, text=True, check=True).stdout
           for m in (MODEL, str(demo / "inputs/models/gemma2"))]
    assert ids[0] == ids[1] != "\n"
    run(theirs, "eval", "--model", MODEL, "--tasks", "acva:Algeria", "--output-dir", str(work / "evals"))
    results = list((work / "evals").rglob("results_*.json"))
    assert len(results) >= 1
    print(f"huggingface_hub {huggingface_hub.__version__}: {len(a)} entries of the cache alike, found by either tool")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
