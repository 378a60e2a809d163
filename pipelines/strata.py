"""Which pieces of the input a sample takes, and what those found in them say of all.

By chance within each stratum, the files whose paths differ in digits only; totals are scaled by bytes, stratum by
stratum (ratio estimate; Cochran, Sampling Techniques, 6.3).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, sqrt

import numpy as np

from ctllm.pipelines.sources.split import Split

MIN_PIECES = 100  # 10 pieces were off by a fifth, 100 by less than a tenth (docs/scale.md)
MAX_BYTES_FOR_PIECES = 64 << 20  # chosen: row groups and files that cannot be cut may be many MB each


@dataclass(frozen=True)
class Estimate:
    """A total, and the interval that holds it in 95 of 100 samples."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Estimate":
        """The same in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def less(self, amount: float) -> "Estimate":
        """What is left without `amount`, 0 at least."""
        return Estimate(*(max(each - amount, 0.0) for each in (self.value, self.low, self.high)))


def choose(pieces: Sequence[Split], *, share: float, seed: int) -> list[Split]:
    """Pieces of each stratum by chance, in their order: `share` of them, at least two.

    `MIN_PIECES` in all, unless that takes more than `MAX_BYTES_FOR_PIECES`: then fewer, and the intervals say so.
    """
    total_bytes = sum(split.size_bytes for split in pieces)
    share = max(share, min(MIN_PIECES / len(pieces), MAX_BYTES_FOR_PIECES / max(total_bytes, 1)))
    random = np.random.default_rng(seed)
    chosen: list[Split] = []
    for stratum in by_stratum(pieces):
        number = min(len(stratum), max(2, ceil(share * len(stratum))))
        chosen += [stratum[index] for index in sorted(random.choice(len(stratum), number, replace=False).tolist())]
    return sorted(chosen, key=lambda split: split.index)


def total_of(values: np.ndarray, chosen: Sequence[Split], pieces: Sequence[Split], *, sizes: Sequence[int]) -> Estimate:
    """The total over all `pieces` of what was found in the `chosen` ones, (chosen,), stratum by stratum.

    `sizes`: what each of the chosen has of the bytes of its stratum, (chosen,); over all pieces that is `size_bytes`.
    """
    total, variance, freedom = 0.0, 0.0, 0
    names = np.array([stratum_of(split) for split in chosen])
    bytes_of_strata: dict[str, list[int]] = {}
    for split in pieces:
        bytes_of_strata.setdefault(stratum_of(split), []).append(split.size_bytes)
    for name in sorted(set(names.tolist())):
        member, stratum = names == name, bytes_of_strata[name]
        found, lengths = values[member].astype(float), np.array(sizes, float)[member]
        ratio = found.sum() / max(lengths.sum(), 1.0)
        total += ratio * sum(stratum)
        if 1 < len(found) < len(stratum):
            spread = float(np.var(found - ratio * lengths, ddof=1))
            variance += len(stratum) ** 2 * (1 - len(found) / len(stratum)) * spread / len(found)
            freedom += len(found) - 1
    reach = (1.96 + 2.6 / max(freedom, 1)) * sqrt(variance)  # Student's t to 2 % from 4 degrees of freedom on
    return Estimate(total, max(total - reach, 0.0), total + reach)


def stratum_of(split: Split) -> str:
    """The path with runs of (hexadecimal) digits as one sign: part-00001 and part-00002 are of one kind."""
    return re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "#", split.url)


def by_stratum(splits: Sequence[Split]) -> Iterator[list[Split]]:
    """The splits of each stratum, in their order."""
    for _, members in groupby(sorted(splits, key=stratum_of), key=stratum_of):
        yield list(members)
