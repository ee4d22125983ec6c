"""Writes the Parquet files of this folder with pyarrow: what other tools write.

Run with pyarrow 17 or later: python generate.py
"""
import json
import pyarrow as pa
import pyarrow.parquet as pq

rows = [
    {
        "id": f"r{i}",
        "n": None if i % 7 == 3 else i * 10_000_000_000,
        "u": 2**64 - 1 - i,
        "small": i % 128,
        "score": i / 4,
        "single": i / 8,
        "ok": None if i % 5 == 0 else i % 2 == 0,
        "lang": ["eng_Latn", "arb_Arab"][i % 2],
        "text": "نص عربي " * (i % 4) + str(i),
        "choices": None if i % 6 == 5 else [f"c{j}" if j != 1 else None for j in range(i % 4)],
        "messages": [{"role": ["user", "assistant"][j % 2], "content": f"m{i}.{j}"} for j in range(i % 3)],
        "nested": [[k for k in range(j)] for j in range(i % 4)],
        "answer": {"label": f"l{i}", "spans": [{"start": i, "text": ["a", "b"][: i % 3]}]} if i % 4 else None,
        "blob": bytes([i % 256, 255]),
    }
    for i in range(60)
]
schema = pa.schema([
    ("id", pa.string()), ("n", pa.int64()), ("u", pa.uint64()), ("small", pa.int8()),
    ("score", pa.float64()), ("single", pa.float32()), ("ok", pa.bool_()),
    ("lang", pa.dictionary(pa.int32(), pa.string())), ("text", pa.large_string()),
    ("choices", pa.list_(pa.string())),
    ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ("nested", pa.list_(pa.list_(pa.int32()))),
    ("answer", pa.struct([("label", pa.string()),
                          ("spans", pa.list_(pa.struct([("start", pa.int64()), ("text", pa.list_(pa.string()))])))])),
    ("blob", pa.binary()),
])
table = pa.Table.from_pylist(rows, schema=schema)
for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    pq.write_table(table, f"{codec}.parquet", compression=codec, row_group_size=25, data_page_size=256)
pq.write_table(table, "v2.parquet", compression="zstd", version="2.6", data_page_version="2.0", row_group_size=25)
pq.write_table(table, "delta.parquet", compression="snappy", use_dictionary=False, column_encoding={
    "id": "DELTA_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED", "text": "DELTA_LENGTH_BYTE_ARRAY", "score": "BYTE_STREAM_SPLIT"})
pq.write_table(table, "legacy.parquet", compression="snappy", use_compliant_nested_type=False)
pq.write_table(table.slice(0, 0), "empty.parquet")
maps = pa.table({"m": pa.array([[("a", 1), ("b", 2)], [], None], pa.map_(pa.string(), pa.int64()))})
pq.write_table(maps, "map.parquet")
for row in rows:
    row["blob"] = row["blob"].hex()
with open("rows.jsonl", "w") as f:
    for row in rows:
        f.write(json.dumps(row, ensure_ascii=False) + "\n")
