"""barka, huggingface_hub and npm's @huggingface/hub publish the same files on the tests' own hub server; run by .ci/run.

    python reference/light/publish_check.py BARKA HUBSERVER DEMO_DIRECTORY
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

TOKEN, HUB_JS = "hf_writewritewritewrite", "2.17.5"


def node_client(work, here):
    """The command that uploads with npm's client, or None and the reason why there is none."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None, "node or npm is missing"
    try:
        install = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(work), f"@huggingface/hub@{HUB_JS}"],
                                 capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None, "npm's registry does not answer"
    if install.returncode:
        return None, "npm cannot install @huggingface/hub: " + install.stderr.strip().splitlines()[-1]
    script = work / "publish_check.mjs"
    shutil.copy(here / "publish_check.mjs", script)
    return ["node", str(script)], None


def main():
    barka, hubserver, demo = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    work = pathlib.Path(tempfile.mkdtemp())
    (work / "repos").mkdir()
    server = subprocess.Popen([hubserver, str(work / "repos"), TOKEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    base = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    base |= {"HF_ENDPOINT": url, "HF_HOME": str(work / "home"), "HF_TOKEN": TOKEN, "XDG_CACHE_HOME": str(work / "cache"),
             "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    os.environ.update(base)
    import huggingface_hub  # reads the environment once
    from huggingface_hub import CommitOperationAdd, DatasetCard, HfApi, ModelCard
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()

    def run(*args):
        return subprocess.run([barka, "publish", *map(str, args), "--quiet"], env=base, capture_output=True, text=True, check=True).stdout

    def tree(repo, kind="model", revision=None):
        """Paths with the digests by which the hub names contents, without the hub's own file."""
        files = {f.path: (f.blob_id, f.size, f.lfs.sha256 if f.lfs else None)
                 for f in api.list_repo_tree(repo, repo_type=kind, revision=revision, recursive=True) if hasattr(f, "blob_id")}
        files.pop(".gitattributes", None)
        return files

    # An adapter with a file of three parts, and an empty one.
    adapter = work / "adapter"
    shutil.copytree(demo / "6-adapter", adapter, ignore=shutil.ignore_patterns("checkpoints", "best"))
    (adapter / "tokenizer.json").write_bytes(random.Random(1).randbytes(5 << 19))
    (adapter / "empty.txt").touch()
    (adapter / "README.md").write_text("---\nlicense: gemma\n---\n# a card\n")

    # What barka publishes and what the library uploads is the same, also on a branch that is made.
    for revision in (None, "v1"):
        options = ["--revision", revision] if revision else []
        run(adapter, "org/ours", "--base-model", "google/gemma-2-2b", *options)
        config = pathlib.Path(api.hf_hub_download("org/ours", "adapter_config.json", revision=revision)).read_bytes()
        theirs = work / "theirs"
        shutil.copytree(adapter, theirs, dirs_exist_ok=True)
        (theirs / "adapter_config.json").write_bytes(config)
        api.create_repo("org/theirs", private=True, exist_ok=True)
        if revision:
            api.create_branch("org/theirs", branch=revision, exist_ok=True)
        api.upload_folder(repo_id="org/theirs", folder_path=theirs, revision=revision, commit_message="x")
        a, b = tree("org/ours", revision=revision), tree("org/theirs", revision=revision)
        assert a == b and len(a) >= 9, {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
        assert a["tokenizer.json"][2] and a["empty.txt"][2] is None

    # Either finds nothing left to do where the other was, and reads what the other wrote.
    assert "has all of it" in run(adapter, "org/theirs", "--base-model", "google/gemma-2-2b")
    before = api.model_info("org/ours").sha
    api.upload_folder(repo_id="org/ours", folder_path=theirs, commit_message="x")
    assert api.model_info("org/ours").sha == before
    for name, (_, size, _) in a.items():
        content = (theirs / name).read_bytes()
        assert pathlib.Path(api.hf_hub_download("org/ours", name)).read_bytes() == content and size == len(content)

    # A parent that is not the last commit is refused, by the server that barka's tests use.
    operation = [CommitOperationAdd("note.txt", b"note")]
    parent = api.model_info("org/theirs").sha
    api.create_commit("org/theirs", operation, commit_message="x", parent_commit=parent)
    try:
        api.create_commit("org/theirs", [CommitOperationAdd("note.txt", b"other")], commit_message="x", parent_commit=parent)
        raise AssertionError("a commit on another parent was made")
    except HfHubHTTPError as e:
        assert e.response.status_code == 412

    # The library reads the cards' metadata.
    run(demo / "7-merged", "org/merged", "--base-model", "google/gemma-2-2b", "--results", demo / "9-eval-tuned", "--dataset", "org/set")
    run(demo / "5-mix", "org/set", "--private")
    data = ModelCard.load("org/merged").data
    assert data.license == "gemma" and data.base_model == ["google/gemma-2-2b"] and data.datasets == ["org/set"]
    assert data.library_name == "transformers" and data.language == ["ar"] and len(data.eval_results) >= 1
    data = DatasetCard.load("org/set").data
    assert data.license == "cc0-1.0" and data.language == ["ar"] and data.configs[0]["data_files"][0]["path"] == "part-*.parquet"
    assert api.dataset_info("org/set").private

    # npm's client too.
    command, missing = node_client(work / "node", pathlib.Path(__file__).parent)
    if command:
        subprocess.run([*command, url, TOKEN, str(theirs)], check=True)
        for revision in (None, "v1"):
            assert tree("org/javascript", revision=revision) == tree("org/ours", revision=revision)
        assert "has all of it" in run(adapter, "org/javascript", "--base-model", "google/gemma-2-2b")
        print(f"@huggingface/hub {HUB_JS}: the same files as barka")
    else:
        print("skipped: " + missing)
    server.stdin.close()
    server.wait()
    print(f"huggingface_hub {huggingface_hub.__version__}: {len(a)} published files alike; cards read")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
