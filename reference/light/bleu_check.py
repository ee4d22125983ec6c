"""barka bleu beside sacrebleu on made lines, and on NTREX if its folder is given; run by .ci/run.

    python reference/light/bleu_check.py BARKA [SHARED]
    python reference/light/bleu_check.py --goldens internal/sacrebleu/testdata/goldens.json
"""

import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from sacrebleu.metrics import BLEU, CHRF

WORDS = ("the cat 3.5 1,000 $5.00 U.S. e.g. it's (hi) \"so\" - -- 10-12 A/B &amp;lt; &quot;x&quot; <skipped> … 50% a_b "
         "القطة على السجادة، ثمنها ٥٫٠ ريالًا (تقريبًا)؟ «نعم» والكتاب ـ الْعَرَبِيَّةُ 2020. É İstanbul ΟΔΟΣ ß 中文 日本。 😊 👩‍🚀 ² ½ Ⅳ "
         "a\u00a0b c\u2003d x\u200by e\u0301 \u061c + = < > ~ ^ | \\ [1] {2} *b* # @ ; : ! ? ' ` ").split(" ")


def made(seed, lines):
    """Lines with one to two references, which share most of their words."""
    rng = random.Random(seed)
    hyps, refs = [], [[], []]
    for _ in range(lines):
        hyp = [rng.choice(WORDS) for _ in range(rng.randrange(0, 14))]
        for r in refs:
            words = [w for w in hyp if rng.random() > 0.15]
            if words and rng.random() < 0.5:
                i = rng.randrange(len(words))
                words[i] = rng.choice(WORDS) + words[i]
            r.append(" ".join(words))
        hyps.append(" ".join(hyp))
    return hyps, refs


def metrics(lowercase, tokenize, sentence):
    yield "bleu", BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=sentence)
    yield "chrf", CHRF(lowercase=lowercase)
    yield "chrf++", CHRF(lowercase=lowercase, word_order=2)


def results(hyps, refs, lowercase, tokenize):
    out = []
    for _, m in metrics(lowercase, tokenize, False):
        s = m.corpus_score(hyps, refs)
        out.append({"name": s.name, "score": s.score, "signature": m.get_signature().format(), "verbose_score": s._verbose,
                    "line": s.format(signature=m.get_signature().format(), width=1)})
    return out


def sentences(hyps, refs, lowercase, tokenize):
    rows = []
    for i, h in enumerate(hyps):
        row = {}
        for _, m in metrics(lowercase, tokenize, True):
            s = m.sentence_score(h, [r[i] for r in refs])
            row[s.name] = s.score
        rows.append(row)
    return rows


def near(a, b):
    return abs(a - b) <= 1e-9 * max(1, abs(a), abs(b))


def compare(barka, hyps, refs, lowercase, tokenize, alone):
    with tempfile.TemporaryDirectory() as d:
        args = [barka, "bleu", "--json", "--quiet", "--tokenize", tokenize] + ["--lowercase"] * lowercase
        for i, r in enumerate(refs):
            path = pathlib.Path(d) / f"{i}.txt"
            path.write_text("".join(line + "\n" for line in r), newline="\n")
            args += ["--reference", str(path)]
        text = "".join(line + "\n" for line in hyps)
        run = lambda more: subprocess.run(args + more, input=text, capture_output=True, text=True, check=True).stdout.split("\n")
        got = json.loads(run([])[0])["scores"]
        for g, w in zip(got, results(hyps, refs, lowercase, tokenize), strict=True):
            assert near(g["score"], w["score"]) and g["name"] == w["name"] and g["signature"] == w["signature"], (g, w)
            assert g.get("verbose_score", "") == w["verbose_score"], (g, w)
        if alone:
            rows = [json.loads(line) for line in run(["--sentences"]) if line]
            for i, (g, w) in enumerate(zip(rows, sentences(hyps, refs, lowercase, tokenize), strict=True)):
                for name in w:
                    assert near(g[name], w[name]), (name, hyps[i], [r[i] for r in refs], g[name], w[name])
    return [round(w["score"], 2) for w in got]


def main():
    if sys.argv[1] == "--goldens":
        hyps, refs = made(1, 60)
        cases = [{"references": n, "lowercase": lower, "tokenize": tok, "scores": results(hyps, refs[:n], lower, tok),
                  "sentences": sentences(hyps[:20], [r[:20] for r in refs[:n]], lower, tok)}
                 for n, lower, tok in itertools.product((1, 2), (False, True), ("13a", "intl", "char", "none"))]
        pathlib.Path(sys.argv[2]).write_text(
            json.dumps({"hypotheses": hyps, "references": refs, "cases": cases}, ensure_ascii=False, indent=1) + "\n")
        return
    barka, shared = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    n = 0
    for seed, (count, lower, tok) in enumerate(itertools.product((1, 2), (False, True), ("13a", "intl", "char", "none"))):
        hyps, refs = made(100 + seed, 150)
        compare(barka, hyps, refs[:count], lower, tok, alone=True)
        n += 1
    print(f"bleu: {n} sets of 150 made lines equal to sacrebleu, whole and line by line")
    if shared and (ntrex := pathlib.Path(shared) / "data/parallel/ntrex").is_dir():
        ref = [line.rstrip("\n") for line in open(ntrex / "newstest2019-ref.arb.txt", encoding="utf-8-sig", newline="\n")]
        rng = random.Random(7)
        hyp = [" ".join(w for w in line.split(" ") if rng.random() > 0.2) for line in ref]
        for tok in ("13a", "intl"):
            print(f"bleu: NTREX with a fifth of the words removed, {tok}:", compare(barka, hyp, [ref], False, tok, alone=False))


if __name__ == "__main__":
    main()
