"""Near-duplicates by datatrove's MinHash, beside `barka filter`, on the same rows.

    pip install -r reference/data/requirements.txt
    python minhash_compare.py ROWS.jsonl [--workers 2] [--keep FILE]

The rows have `id` and `messages`. Both programs compare runs of three words; datatrove has 32
buckets of 4 hashes, as barka has for its thresholds. Datatrove does not compare the proposed pairs:
half of the pairs of similarity 0.38 become one cluster. The script prints one JSON object: seconds of
each of the four steps, rows kept, and the peak of resident memory of one process. xxhash 4 refuses
the strings that datatrove gives it.
"""
import argparse
import json
import os
import resource
import tempfile
import time


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows")
    p.add_argument("--workers", type=int, default=os.cpu_count())
    p.add_argument("--keep", help="file for the ids of kept rows")
    a = p.parse_args()

    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter,
                                          MinhashDedupSignature)
    from datatrove.pipeline.dedup.minhash import HashConfig, MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    config = MinhashConfig(hash_config=HashConfig(precision=64), n_grams=3, num_buckets=32, hashes_per_bucket=4)
    seconds = {}
    with tempfile.TemporaryDirectory() as tmp:
        at = lambda name: os.path.join(tmp, name)
        os.makedirs(at("in"))
        # One file per worker, since datatrove divides its input by files.
        outs = [open(at(f"in/{i:03}.jsonl"), "w", encoding="utf-8") for i in range(a.workers)]
        total = 0
        with open(a.rows, encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                text = "\n".join(m["content"] for m in row["messages"])
                outs[total % a.workers].write(json.dumps({"id": row["id"], "text": text}, ensure_ascii=False) + "\n")
                total += 1
        for out in outs:
            out.close()
        reader = JsonlReader(at("in"))
        steps = [
            ("signatures", [reader, MinhashDedupSignature(at("signatures"), config=config, language="ar")], a.workers),
            ("buckets", [MinhashDedupBuckets(at("signatures"), at("buckets"), config=config)], config.num_buckets),
            ("clusters", [MinhashDedupCluster(at("buckets"), at("remove"), config=config)], 1),
            ("filter", [reader, MinhashDedupFilter(at("remove")), JsonlWriter(at("out"), compression=None)], a.workers),
        ]
        for name, pipeline, tasks in steps:
            start = time.time()
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=min(tasks, a.workers), logging_dir=at("logs-" + name)).run()
            seconds[name] = round(time.time() - start, 2)
        kept = []
        for name in sorted(os.listdir(at("out"))):
            with open(at("out/" + name), encoding="utf-8") as f:
                kept += [json.loads(line)["id"] for line in f]
    if a.keep:
        with open(a.keep, "w") as f:
            f.write("\n".join(kept) + "\n")
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"rows": total, "kept": len(kept), "seconds": seconds, "all": round(sum(seconds.values()), 2),
                      "peak_mib_of_a_process": peak // 1024}))


if __name__ == "__main__":
    main()
