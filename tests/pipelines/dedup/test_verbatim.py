"""Texts as they are, with datasketch as oracle from the text to the signature."""

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from datasketch.hashfunc import sha1_hash64
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.dedup.exact import exact_signatures
from ctllm.pipelines.dedup.minhash import Scheme, permutations, signatures
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.dedup.verbatim import sha1_shingles, verbatim_tokens
from ctllm.schemas.curation_config import DedupConfig


def codepoints_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points and offsets of the texts."""
    codepoints = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    return codepoints, np.cumsum([0, *map(len, texts)])


@settings(max_examples=40)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=4),
    st.sampled_from([2, 13, 14, 32]),  # 55 and 56 bytes fill one block of SHA-1 or need two
    st.sampled_from(["affine32", "legacy"]),
)
def test_texts_have_the_signatures_that_datasketch_gives_them(texts: list[str], n: int, scheme: Scheme) -> None:
    """Any Unicode text, cut into n characters and hashed by datasketch's own SHA-1, has our signature bit for bit."""
    shingles, bounds = sha1_shingles(*codepoints_of(texts), num_chars=n, min_shingles=1)
    factors, summands = permutations(128, scheme)
    found = signatures(shingles, bounds, factors=factors, summands=summands)
    for text, row, (start, end) in zip(texts, found, pairwise(bounds), strict=True):
        windows = [text[i : i + n].encode() for i in range(len(text) - n + 1)]
        assert shingles[start:end].tolist() == list(dict.fromkeys(map(sha1_hash64, windows)))
        oracle = MinHash(num_perm=128, scheme=scheme)
        oracle.update_batch(windows)
        np.testing.assert_array_equal(row, oracle.hashvalues)


@pytest.mark.parametrize("size", range(50, 66))
def test_every_length_around_a_block_is_hashed_right(size: int) -> None:
    """Messages of 50 to 65 bytes, where padding fills a block or opens another, have the SHA-1 of `hashlib`."""
    window = "x" * size
    (shingle,), _ = sha1_shingles(*codepoints_of([window]), num_chars=size, min_shingles=1)
    assert int(shingle) == int.from_bytes(hashlib.sha1(window.encode()).digest()[:8], "little")


@pytest.mark.parametrize("num_windows", [63, 64, 65, 129])
def test_windows_side_by_side_are_hashed_as_alone(num_windows: int) -> None:
    """A text of as many windows as are hashed together, one less, one more; characters of 1 to 4 bytes, two blocks."""
    text = "".join("aé好😀"[i % 4] * (1 + i % 3) for i in range(num_windows + 19))[: num_windows + 19]
    shingles, _ = sha1_shingles(*codepoints_of([text]), num_chars=20, min_shingles=1)
    windows = [text[i : i + 20].encode() for i in range(num_windows)]
    assert shingles.tolist() == list(dict.fromkeys(map(sha1_hash64, windows)))


def test_text_below_the_minimum_has_no_shingles() -> None:
    """20 distinct windows are enough where 20 are asked for, 19 are not, nor is a text that repeats itself."""
    texts = ["".join(chr(0x4E00 + i) for i in range(24)), "".join(chr(0x4E00 + i) for i in range(23)), "好" * 99, ""]
    _, bounds = sha1_shingles(*codepoints_of(texts), num_chars=5, min_shingles=20)
    assert np.diff(bounds).tolist() == [20, 0, 0, 0]


def test_tokens_tell_every_character_apart() -> None:
    """Punctuation, width and case count: nothing is folded, and a NUL is a character."""
    texts = ["ＡＢ，", "AB,", "ab,", "ab", "ab\0"]
    codepoints, offsets = codepoints_of(texts)
    high, low = exact_signatures(
        verbatim_tokens(codepoints), offsets, keys=np.arange(5, dtype=np.uint64), skipped=np.zeros(5, np.int64)
    )
    assert len(set(zip(high.tolist(), low.tolist(), strict=True))) == 5


@settings(max_examples=40)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=4),
    st.sampled_from([2, 5, 13]),
)
def test_without_sha1_the_same_windows_are_told_apart(texts: list[str], n: int) -> None:
    """Mixed shingles are as many as there are distinct windows, in their order, whatever the characters are."""
    codepoints, offsets = codepoints_of(texts)
    config = DedupConfig(form="verbatim", shingle_chars=n, shingle_words=7, min_shingles=1)
    documents = pa.record_batch({
        "key": pa.array(range(len(texts)), pa.uint64()), "lane": pa.array(["en"] * len(texts), pa.string()),
        "text": pa.array(texts, pa.large_string()),
    })  # fmt: skip
    mixed, bounds = Signer(config).shingles(documents)
    sha1, sha1_bounds = sha1_shingles(codepoints, offsets, num_chars=n, min_shingles=1)
    assert bounds.tolist() == sha1_bounds.tolist()
    assert (
        len(set(zip(mixed.tolist(), sha1.tolist(), strict=True))) == len(set(sha1.tolist())) == len({*mixed.tolist()})
    )
