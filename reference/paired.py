"""Golden numbers of `barka compare` from scipy and statsmodels.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0
    python reference/paired.py > internal/compare/testdata/paired.json

McNemar's exact test and Holm's correction are statsmodels'. The bootstrap of
one task is exact: the distribution of the sum of n draws from the observed
differences, by convolution. That of a mean over tasks is scipy's, with 200,000
resamples; each task is resampled separately.
"""

import json
import sys

import numpy as np
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


def exact(losses, ties, wins):
    """Quantiles and two-sided p of the ideal bootstrap of the mean difference."""
    n = losses + ties + wins
    step = np.array([losses, ties, wins]) / n
    pmf = np.array([1.0])
    power, k = step, n
    while k:  # square and multiply
        if k & 1:
            pmf = np.convolve(pmf, power)
        power, k = np.convolve(power, power), k >> 1
    pmf = pmf[: 2 * n + 1]
    values = np.arange(-n, n + 1) / n
    cdf = np.cumsum(pmf)
    low, high = (float(values[np.searchsorted(cdf, q)]) for q in (0.025, 0.975))
    p = 2 * min(pmf[values <= 0].sum(), pmf[values >= 0].sum())
    return {"low": low, "high": high, "p": float(min(1, p))}


def stratified(tasks):
    """Percentile interval of the plain mean of the tasks' mean differences."""
    samples = [np.repeat([-1.0, 0.0, 1.0], t) for t in tasks]

    def macro(*xs, axis=-1):
        return sum(x.mean(axis=axis) for x in xs) / len(xs)

    r = bootstrap(samples, macro, n_resamples=200_000, batch=2000, method="percentile", vectorized=True, rng=np.random.default_rng(1))
    d = r.bootstrap_distribution
    return {"low": float(r.confidence_interval.low), "high": float(r.confidence_interval.high),
            "p": float(min(1, 2 * min((d <= 0).mean(), (d >= 0).mean())))}


def main():
    tables = [(0, 0), (3, 3), (0, 5), (2, 10), (30, 60), (400, 500), (3014, 1957)]
    counts = [(1, 10, 0), (5, 80, 15), (0, 20, 7), (35, 125, 35), (61, 30, 104), (400, 1100, 500)]
    strata = [[(5, 80, 15), (2, 6, 2), (30, 400, 45)], [(3, 40, 3), (1, 9, 0)]]
    ps = [[0.01, 0.04, 0.03, 0.005], [0.2, 0.9, 0.001], [0.5, 0.5]]
    json.dump({
        "mcnemar": [{"only_a": a, "only_b": b, "p": float(mcnemar([[0, a], [b, 0]], exact=True).pvalue)} for a, b in tables],
        "bootstrap": [{"losses": l, "ties": t, "wins": w, **exact(l, t, w)} for l, t, w in counts],
        "stratified": [{"tasks": s, **stratified(s)} for s in strata],
        "holm": [{"p": p, "adjusted": [float(x) for x in multipletests(p, method="holm")[1]]} for p in ps],
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
