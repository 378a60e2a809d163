"""Exact signatures."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.exact import exact_signatures, text_signatures

MASK = (1 << 64) - 1


def signed(sequences: list[list[int]], keys: list[int], skipped: list[int] | None = None) -> list[tuple[int, int]]:
    """Signature of each token sequence."""
    skip = np.array(skipped or [0] * len(keys), np.int64)
    tokens = np.array([token for each in sequences for token in each], np.uint64)
    offsets = np.cumsum([0, *map(len, sequences)])
    high, low = exact_signatures(tokens, offsets, keys=np.array(keys, np.uint64), skipped=skip)
    return list(zip(high.tolist(), low.tolist(), strict=True))


def test_equal_sequences_have_equal_signatures_wherever_they_stand() -> None:
    """The same tokens give the same 128 bits under any key; order, length and content count."""
    one, again, reversed_, shorter = signed([[5, 6, 7], [5, 6, 7], [7, 6, 5], [5, 6]], [1, 2, 3, 4])
    assert one == again
    assert len({one, reversed_, shorter}) == 3


def test_empty_documents_are_copies_of_nothing() -> None:
    """Documents without tokens never share a signature, neither with each other nor with others."""
    found = signed([[], [], [1], []], [0, 7, 8, 9])
    assert len(set(found)) == 4


def test_skipped_tokens_do_not_count() -> None:
    """A sequence without its first tokens is the rest; one of which nothing is left is a copy of nothing."""
    rest, whole, cut, gone, empty = signed(
        [[7, 8], [5, 6, 7, 8], [5, 6, 7, 8], [5], []], [0, 1, 2, 3, 4], [0, 0, 2, 1, 0]
    )
    assert cut == rest
    assert len({rest, whole, gone, empty}) == 4


def test_both_halves_distinguish() -> None:
    """100,000 different short sequences collide in neither half."""
    found = signed([[i, i % 7] for i in range(100_000)], list(range(100_000)))
    assert len({high for high, _ in found}) == len({low for _, low in found}) == 100_000


@given(st.lists(st.lists(st.integers(0, MASK), max_size=9), max_size=7))
def test_a_signature_is_two_chains_over_the_tokens(sequences: list[list[int]]) -> None:
    """Whatever other sequences, longer and shorter, it is computed beside; by Python integers."""
    found = signed([[1, *each] for each in sequences], list(range(len(sequences))))
    assert found == [plain_signature([1, *each]) for each in sequences]


def plain_signature(sequence: list[int]) -> tuple[int, int]:
    """The same by one chain after the other."""
    high, low = 0x243F6A8885A308D3, 0x13198A2E03707344
    for token in sequence:
        high = (high ^ token) * 0x9E3779B185EBCA87 & MASK
        low = (low + token) * 0xC2B2AE3D27D4EB4F & MASK
        high, low = high ^ high >> 29, low ^ low >> 29
    return high * 0xC2B2AE3D27D4EB4F & MASK, low * 0x9E3779B185EBCA87 & MASK


def text_signed(texts: list[str]) -> list[tuple[int, int]]:
    """Signature of each text as it is."""
    high, low = text_signatures(TextBatch.of(pa.array(texts, pa.large_string())))
    return list(zip(high.tolist(), low.tolist(), strict=True))


@given(st.lists(st.text(st.sampled_from("\0a，茶"), max_size=5), max_size=40))
def test_texts_have_one_signature_if_they_are_equal(texts: list[str]) -> None:
    """Odd and even lengths, NUL at the end: two texts are equal where their signatures are, and only there."""
    found = text_signed(texts)
    assert len(set(found)) == len(set(texts))
    assert all((signature == (0, 0)) == (not text) for signature, text in zip(found, texts, strict=True))
