"""Loads a dataset directory that barka wrote with `datasets`, and counts its rows against manifest.json.

    python reference/check_parquet.py DIRECTORY
"""

import json
import pathlib
import sys
import tempfile

import datasets


def main():
    directory = pathlib.Path(sys.argv[1])
    files = sorted(str(p) for p in directory.glob("*.parquet"))
    if not files:
        sys.exit(f"{directory}: no parquet files")
    manifest = json.loads((directory / "manifest.json").read_text())
    datasets.disable_progress_bars()
    if manifest["rows"] == 0:
        sys.exit(f"{directory}: no rows, which datasets does not load")
    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
        for name, feature in data.features.items():
            print(f"{name}: {feature}")
        if len(data):
            print(json.dumps(data[0], ensure_ascii=False, indent=1, default=str))
        each = {pathlib.Path(f).name: len(datasets.load_dataset("parquet", data_files=[f], split="train", cache_dir=cache)) for f in files}
        rows = len(data)
    wrong = [] if rows == manifest["rows"] else [f"manifest.json says {manifest['rows']} rows, the files have {rows}"]
    for f in manifest.get("files", []):
        if f["name"].endswith(".parquet") and "/" not in f["name"] and each.get(f["name"]) != f["rows"]:
            wrong.append(f"manifest.json says {f['rows']} rows of {f['name']}, it has {each.get(f['name'])}")
    print("\n".join(wrong) or f"{rows} rows in {len(files)} files, as manifest.json says")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
