"""MinHash signatures, bit-identical to datasketch in its schemes `affine32` and `legacy`, and their LSH bands.

Axes: D documents, P permutations, B bands, R rows of a band.
"""

import functools
from typing import Literal

import numba as nb
import numpy as np

from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.errors import ConfigError

_ERROR_WEIGHTS = (0.02, 0.98)
"""False positives, false negatives. A false candidate costs one sketch comparison, a missed one is lost: at 0.8 and 128
permutations 17 x 7 bands find 98.2 % of pairs of J = 0.8 and offer 12 % of those of J = 0.5; 9 x 13, datasketch's
default weights, would find 39.9 %."""
_LEAST_BANDS = 2
Scheme = Literal["affine32", "legacy"]
_MERSENNE = np.uint64((1 << 61) - 1)
_EMPTY = np.uint32(0xFFFFFFFF)
_BAND_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_FMIX = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(32)


@functools.cache
def bands_and_rows(threshold: float, num_permutations: int) -> tuple[int, int]:
    """Number of bands and rows per band for a Jaccard threshold: those of datasketch's optimiser for the same weights.

    That is the least sum of the areas under and over the curve 1 - (1 - s^R)^B, left and right of the threshold, which
    the quadrature gives exactly, the curve being a polynomial of degree B R. Raises ConfigError where no banding exists
    (a threshold near 1 with few permutations).
    """
    candidates = [(b, r) for b in range(1, num_permutations + 1) for r in range(1, num_permutations // b + 1)]
    bands, rows = np.array(candidates, np.float64).T[:, :, None]
    nodes, weights = np.polynomial.legendre.leggauss(num_permutations // 2 + 1)  # exact to degree 2n - 1

    def mean_found(low: float, high: float) -> np.ndarray:
        jaccard = low + (high - low) * (nodes + 1) / 2
        return np.asarray((1 - (1 - jaccard**rows) ** bands) @ weights / 2)

    areas = threshold * mean_found(0, threshold), (1 - threshold) * (1 - mean_found(threshold, 1))
    error = sum(weight * area for weight, area in zip(_ERROR_WEIGHTS, areas, strict=True))
    best = candidates[int(np.argmin(error))]
    if best[0] < _LEAST_BANDS:
        raise ConfigError(
            f"dedup.threshold {threshold}: no bands with {num_permutations} permutations; raise dedup.num_permutations"
        )
    return best


def banding(config: DedupConfig) -> tuple[int, int]:
    """Number of bands and rows per band: the configured ones, or those of the threshold. Raises as `bands_and_rows`."""
    return config.bands or bands_and_rows(config.threshold, config.num_permutations)


@functools.cache
def permutations(num_permutations: int, scheme: Scheme = "affine32") -> tuple[np.ndarray, np.ndarray]:
    """Factors and summands of datasketch's permutations (seed 1): (P,) each, uint32 or, of `legacy`, uint64."""
    generator = np.random.RandomState(1)
    if scheme == "legacy":
        lows = (1, 0) * num_permutations
        drawn = np.array([generator.randint(low, int(_MERSENNE), dtype=np.uint64) for low in lows])
        factors, summands = drawn[::2], drawn[1::2]
        return np.ascontiguousarray(factors), np.ascontiguousarray(summands)
    halves = generator.randint(0, 1 << 31, num_permutations, dtype=np.uint32)
    odd = halves * np.uint32(2) + np.uint32(1)  # an even factor would collapse the range
    return odd, generator.randint(0, 1 << 32, num_permutations, dtype=np.uint32)


def signatures(shingles: np.ndarray, offsets: np.ndarray, *, factors: np.ndarray, summands: np.ndarray) -> np.ndarray:
    """MinHash of each set of shingles, of which the low 32 bits count: (D, P), uint32; all ones for an empty set.

    The scheme is that of `permutations` which the factors came from: uint32 is `affine32`, uint64 `legacy`.
    """
    if factors.dtype == np.uint64:
        signatures_DP = np.empty((len(offsets) - 1, len(factors)), np.uint32)
        _legacy_minhash(shingles, offsets, factors, summands, signatures_DP)
        return signatures_DP
    padding = (0,) * (-len(factors) % 4)  # the kernel takes four permutations a pass
    a, b = np.append(factors, padding).astype(np.uint32), np.append(summands, padding).astype(np.uint32)
    signatures_DP = np.empty((len(offsets) - 1, len(a)), np.uint32)
    hashes = np.empty(int(np.diff(offsets).max(initial=0)), np.uint32)
    _minhash(shingles, offsets, a, b, hashes, signatures_DP)
    return signatures_DP[:, : len(factors)]


def band_keys(signatures_DP: np.ndarray, *, num_bands: int, num_rows: int) -> np.ndarray:
    """One 64-bit key per band, different between bands: (D, B), uint64. Uses the first B * R permutations."""
    keys_DB = np.empty((len(signatures_DP), num_bands), np.uint64)
    _band_keys(np.ascontiguousarray(signatures_DP), num_rows, keys_DB)
    return keys_DB


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _band_keys(signatures_DP: np.ndarray, num_rows: int, keys_DB: np.ndarray) -> None:
    for document in range(keys_DB.shape[0]):
        for band in range(keys_DB.shape[1]):
            key = np.uint64(band + 1) * _BAND_FACTOR
            for value in signatures_DP[document, band * num_rows : (band + 1) * num_rows]:
                key = (key ^ np.uint64(value)) * _BAND_FACTOR
                key = (key ^ (key >> _SHIFT)) * _FMIX
            keys_DB[document, band] = key ^ (key >> _SHIFT)


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _fmix32(shingles: np.ndarray, hashes: np.ndarray) -> None:
    """MurmurHash3's finaliser of the lower halves: datasketch mixes a hash once before it permutes it."""
    for i in range(shingles.shape[0]):
        mixed = np.uint32(shingles[i])
        mixed ^= mixed >> np.uint32(16)
        mixed = np.uint32(mixed * np.uint32(0x85EBCA6B))
        mixed ^= mixed >> np.uint32(13)
        mixed = np.uint32(mixed * np.uint32(0xC2B2AE35))
        hashes[i] = mixed ^ (mixed >> np.uint32(16))


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _minhash(  # noqa: PLR0917 - a kernel takes its arrays by position
    shingles: np.ndarray,
    offsets: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    hashes: np.ndarray,
    signatures_DP: np.ndarray,
) -> None:
    for document in range(offsets.shape[0] - 1):
        num_own = offsets[document + 1] - offsets[document]
        own = hashes[:num_own]  # a slice: unit stride, or the loop is not vectorised
        _fmix32(shingles[offsets[document] : offsets[document + 1]], own)
        for k in range(0, a.shape[0], 4):
            a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            m0 = m1 = m2 = m3 = _EMPTY
            for i in range(own.shape[0]):
                x = own[i]
                w = np.uint32(np.uint32(x * a0) + b0)
                m0 = w if w < m0 else m0  # not min(): numba does not vectorise it, 10 times slower (2026-11)
                w = np.uint32(np.uint32(x * a1) + b1)
                m1 = w if w < m1 else m1
                w = np.uint32(np.uint32(x * a2) + b2)
                m2 = w if w < m2 else m2
                w = np.uint32(np.uint32(x * a3) + b3)
                m3 = w if w < m3 else m3
            signatures_DP[document, k] = m0
            signatures_DP[document, k + 1] = m1
            signatures_DP[document, k + 2] = m2
            signatures_DP[document, k + 3] = m3


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _legacy_minhash(
    shingles: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, signatures_DP: np.ndarray
) -> None:
    """(a h + b) mod 2^61 - 1, lower 32 bits; the product wraps at 2^64, as it does in datasketch."""
    for document in range(offsets.shape[0] - 1):
        own = shingles[offsets[document] : offsets[document + 1]]
        for k in range(a.shape[0]):
            factor, summand = a[k], b[k]
            smallest = _EMPTY
            for i in range(own.shape[0]):
                value = np.uint64(np.uint32(own[i])) * factor + summand
                value = (value & _MERSENNE) + (value >> np.uint64(61))  # the remainder, or that and the divisor
                value = value - _MERSENNE if value >= _MERSENNE else value
                permuted = np.uint32(value)
                smallest = permuted if permuted < smallest else smallest
            signatures_DP[document, k] = smallest
