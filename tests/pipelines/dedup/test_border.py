"""What sketches do not decide."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.dedup import border
from ctllm.pipelines.dedup.border import TakeShingles, at_border, border_similarities, count_shared
from ctllm.pipelines.dedup.positions import positions_in
from ctllm.pipelines.dedup.signature import Signer
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.files import write_parquet

ERROR = (0.8 * 0.2 / 256) ** 0.5


def open_(sizes: tuple[int, int], jaccard: float, config: DedupConfig) -> bool:
    """Whether one pair is left open."""
    one, other = (np.array([size]) for size in sizes)
    return bool(at_border(one, other, np.array([jaccard]), config=config)[0])


@pytest.mark.parametrize("side", [-1, 1])
def test_border_is_as_wide_as_asked_for(side: int) -> None:
    """Up to four standard errors on either side of the threshold, and no further; null never, zero at it."""
    for within, errors, expected in ((4.0, 3.99, True), (4.0, 4.01, False), (0.0, 0.0, True), (0.0, 0.01, False)):
        assert open_((900, 900), 0.8 + side * errors * ERROR, DedupConfig(exact_within=within)) is expected
    assert not open_((900, 900), 0.8, DedupConfig(exact_within=None))
    assert not open_((900, 900), 0.8, DedupConfig(verify=False))


def test_sets_that_fit_their_sketches_are_not_compared_again() -> None:
    """256 shingles are the sketch itself; one more in either document makes an estimate; none is no document."""
    assert not open_((256, 256), 0.8, DedupConfig())
    assert open_((257, 256), 0.8, DedupConfig())
    assert not open_((900, 0), 0.8, DedupConfig())


def test_containment_has_a_border_of_its_own() -> None:
    """A tenth as long as the other, contained to 0.9: a Jaccard of 0.089, far from the threshold."""
    sizes, at_bound = (1000, 100), 90 / 1010
    assert open_(sizes, at_bound, DedupConfig(containment=0.9))
    assert not open_(sizes, at_bound, DedupConfig())
    assert not open_(sizes, at_bound + 0.1, DedupConfig(containment=0.9))


@pytest.mark.parametrize("at_once", [1024, 1])
def test_pairs_get_what_their_sets_share(
    documents: Callable[..., pa.RecordBatch],
    tmp_path: Path,
    essays: list[str],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    """Jaccard and containment of pairs between two files, as of Python sets, however few are in memory at once."""
    monkeypatch.setattr(border, "_DOCUMENTS_AT_ONCE", at_once)
    monkeypatch.setattr(border, "_BATCH_BYTES", at_once << 14)
    files = [[*essays], [essays[0][:200], essays[1] + essays[2], essays[3], essays[0]]]
    batches = [documents(texts) for texts in files]
    for number, batch in enumerate(batches):
        write_parquet(str(tmp_path / f"{number}"), batch)
    signer = Signer(DedupConfig())
    sets = [
        [set(shingles[start:end].tolist()) for start, end in itertools.pairwise(offsets)]
        for shingles, offsets in map(signer.shingles, batches)
    ]
    pairs = [(0, 0), (0, 3), (1, 1), (2, 1), (3, 2), (4, 2)]
    rows = np.array([[positions_in(0, 9)[one], positions_in(1, 9)[other], 7, 8, 1] for one, other in pairs], np.uint64)
    take = TakeShingles([str(tmp_path / "0"), str(tmp_path / "1")], DedupConfig())
    take.setup()
    sent = [taken for part in (rows[::2], rows[1::2]) for taken in take.process((1, [part.tobytes()]))]
    assert [number for number, _ in sent] == [0] * (2 if at_once > 1 else 6)
    found, jaccard, containment = border_similarities(signer, str(tmp_path / "0"), [packed for _, packed in sent])
    for row, similarity, contained in zip(found.tolist(), jaccard, containment, strict=True):
        one, other = sets[0][row[0]], sets[1][row[1] & 0xFF]
        assert similarity == len(one & other) / len(one | other)
        assert contained == len(one & other) / min(len(one), len(other))
        assert row[2:] == [7, 8, 1]
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, rows.tolist()))
    assert {1.0} == set(jaccard[found[:, 1] == rows[1, 1]])


@given(
    st.lists(st.sets(st.integers(0, 40) | st.integers(0, 2**64 - 1)), min_size=1, max_size=4),
    st.lists(st.sets(st.integers(0, 40)), min_size=1, max_size=4),
)
def test_shared_hashes_are_counted_as_python_sets_count_them(ours: list[set[int]], theirs: list[set[int]]) -> None:
    """Any sets in any order, with hashes that fall on one place, the hash 0 and empty sets among them."""
    arrays = [np.array([each for own in sets for each in own], np.uint64) for sets in (ours, theirs)]
    offsets = [np.cumsum([0, *map(len, sets)]) for sets in (ours, theirs)]
    rows = np.array(list(itertools.product(range(len(ours)), range(len(theirs))))[::-1])
    shared = count_shared(arrays[0], offsets[0], arrays[1], offsets[1], rows)
    assert shared.tolist() == [len(ours[one] & theirs[other]) for one, other in rows]
