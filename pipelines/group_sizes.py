"""How many copies there are in all, and pairs of them, from a sample that met some members of some groups of copies.

A sample that holds each document with probability q meets m of the c members of a group by the binomial. Which sizes
there are is what makes the meetings likeliest (the non-parametric maximum likelihood of a mixture, Laird 1978, by EM):
pairs alone would not do, for a group of 100 has 4,950 of them and 99 copies. Two mixtures can meet alike, the more so
the smaller q is: in simulations of 45,000 groups the copies were off by 0 to 2 % at q = 0.1, by up to 30 % at 0.03 and
more below (docs/experiments.md).

Suffixes: M how often a group is met, from 1   C candidates for the size of a group   R the counts and their resamples
P documents that met a copy
"""

from math import lgamma, log, log1p

import numpy as np

SIZES_ONE_BY_ONE = 10  # chosen
SIZES_BEYOND = 24  # chosen: in steps of a third and more, up to three times what the largest group seems to have
ITERATIONS = 3000  # fewer leave copies where none were met; 0.05 s
RESAMPLES = 40  # chosen: enough for an interval of 95 %
UNMET = 0.5  # pairs that may be there where none was met (Jeffreys' prior)


def copies_of_all(groups_M: np.ndarray, *, share: float) -> tuple[float, float, float]:
    """All documents that are not the first of their group: about, from, to (95 % of resamples).

    `groups_M`: how many groups were met once, twice, ...; `share`: q, in which documents of the sample were drawn.

    copies_of_all([100, 0, 2], share=1.0) == (4.0, 4.0, 4.0)
    """
    met_M = np.flatnonzero(groups_M) + 1
    if share >= 1 or not len(met_M):
        exact = float(((met_M - 1) * np.asarray(groups_M)[met_M - 1]).sum())
        return exact, exact, exact
    met_M = np.union1d(met_M, [1, 2])
    counts_M = np.array([groups_M[met - 1] if met <= len(groups_M) else 0 for met in met_M], float)
    largest = max(3 * met_M[-1] / share, SIZES_ONE_BY_ONE + 2)
    beyond = np.geomspace(SIZES_ONE_BY_ONE + 1, largest, SIZES_BEYOND).round()
    sizes_C = np.unique([*range(1, SIZES_ONE_BY_ONE + 1), *beyond])
    random = np.random.default_rng(0)
    resampled_RM = random.gamma(np.maximum(counts_M + UNMET * (met_M == 2), 1e-9), size=(RESAMPLES, len(met_M)))
    groups_RC = _likeliest(np.stack([counts_M, *resampled_RM]), met_M, sizes_C, share=share)
    about, *others = (groups_RC @ (sizes_C - 1)).tolist()
    low, high = np.quantile(others, [0.025, 0.975]).tolist()
    if met_M[-1] == 2 and not counts_M[met_M == 2].any():
        about = 0.0  # what EM has not taken away yet
    return about, min(low, about), max(high, about)


def pairs_of_all(near_P: np.ndarray, far_P: np.ndarray, *, share: float, max_bucket: int) -> float:
    """Pairs among all documents, from the partners that each document of a sample met beside it and elsewhere: (P,).

    A partner beside it comes with the document, one elsewhere with probability `share` (Horvitz and Thompson 1952): no
    sizes of groups are asked for. Of more than `max_bucket` each is compared with one only.

    pairs_of_all(np.zeros(2), np.ones(2), share=0.1, max_bucket=1000) == 100.0
    """
    partners_P = near_P + far_P / share
    return float(np.where(partners_P > max_bucket, 2.0, partners_P).sum() / (2 * share))


def _likeliest(counts_RM: np.ndarray, met_M: np.ndarray, sizes_C: np.ndarray, *, share: float) -> np.ndarray:
    """How many groups of each size there are, (R, C), met or not."""
    chances_CM = np.array([[_binomial(int(met), int(size), share) for met in met_M] for size in sizes_C])
    seen_C = 1 - (1 - share) ** sizes_C
    groups_RC = np.tile(1 / sizes_C, (len(counts_RM), 1))
    for _ in range(ITERATIONS):
        groups_RC *= (counts_RM / (groups_RC @ chances_CM)) @ chances_CM.T / seen_C
    return groups_RC


def _binomial(met: int, size: int, share: float) -> float:
    if met > size:
        return 0.0
    ways = lgamma(size + 1) - lgamma(met + 1) - lgamma(size - met + 1)
    return float(np.exp(ways + met * log(share) + (size - met) * log1p(-share)))
