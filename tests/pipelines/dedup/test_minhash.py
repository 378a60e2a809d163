"""MinHash and bands, with datasketch as oracle."""

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.dedup.minhash import Scheme, band_keys, bands_and_rows, permutations, signatures
from ctllm.pipelines.dedup.shingles import distinct_shingles
from ctllm.schemas.errors import ConfigError


@settings(max_examples=60)
@given(
    st.lists(st.text(min_size=0, max_size=80), min_size=1, max_size=5),
    st.sampled_from([16, 61, 128]),
    st.sampled_from(["affine32", "legacy"]),
)
def test_signatures_are_those_of_datasketch(texts: list[str], num_permutations: int, scheme: Scheme) -> None:
    """For the shingles of any Unicode text, and for none, in both schemes, our signature equals datasketch's."""
    tokens = np.array([ord(each) << 1 | 1 for text in texts for each in text], np.uint64)
    offsets = np.cumsum([0, *map(len, texts)])
    shingles, bounds = distinct_shingles(tokens, offsets, num_chars=2, num_words=2, min_shingles=1)
    factors, summands = permutations(num_permutations, scheme)
    found = signatures(shingles, bounds, factors=factors, summands=summands)
    for row, start, end in zip(found, bounds[:-1], bounds[1:], strict=True):
        oracle = MinHash(num_perm=num_permutations, hashfunc=lambda value: value & 0xFFFFFFFF, scheme=scheme)
        oracle.update_batch(shingles[start:end].tolist())
        np.testing.assert_array_equal(row, oracle.hashvalues)


@pytest.mark.parametrize("num_permutations", [16, 64, 128])
@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
def test_permutations_are_those_of_datasketch(num_permutations: int, scheme: Scheme) -> None:
    """Factors and summands are drawn as datasketch draws them, value and type."""
    for ours, theirs in zip(
        permutations(num_permutations, scheme),
        MinHash(num_perm=num_permutations, scheme=scheme).permutations,
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.8, 0.9, 0.97])
@pytest.mark.parametrize("num_permutations", [16, 61, 128])
def test_bands_are_those_of_datasketch(threshold: float, num_permutations: int) -> None:
    """Its optimiser, under the same weights, gives as many bands and rows, or refuses as ours does."""
    try:
        index = MinHashLSH(threshold=threshold, num_perm=num_permutations, weights=(0.02, 0.98))
    except ValueError:
        with pytest.raises(ConfigError, match=r"dedup\.threshold"):
            bands_and_rows(threshold, num_permutations)
        return
    assert bands_and_rows(threshold, num_permutations) == (index.b, index.r)


def test_bands_find_what_the_threshold_promises() -> None:
    """At 0.8 and 128 permutations 97 % of pairs at the threshold meet, and under 15 % of those at 0.5."""
    bands, rows = bands_and_rows(0.8, 128)
    assert bands * rows <= 128
    assert 1 - (1 - 0.8**rows) ** bands > 0.97
    assert 1 - (1 - 0.5**rows) ** bands < 0.15


def test_impossible_banding_is_refused_by_name() -> None:
    """A threshold so high that one band is best is refused before any work, naming the option to raise."""
    with pytest.raises(ConfigError, match=r"dedup\.threshold 0\.999.*raise dedup\.num_permutations"):
        bands_and_rows(0.999, 16)


def test_band_keys_are_equal_exactly_where_all_rows_are() -> None:
    """A key stands for all rows of its band, in its place: the same rows in another band give another key."""
    signature = np.tile(np.array([3, 1, 4], np.uint32), 4)[None, :]
    changed = signature.copy()
    changed[0, 4] = 9
    keys, other = (band_keys(each, num_bands=4, num_rows=3)[0].tolist() for each in (signature, changed))
    assert len(set(keys)) == 4
    assert [one == two for one, two in zip(keys, other, strict=True)] == [True, False, True, True]
