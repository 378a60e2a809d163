"""Positions of documents among the files of a join."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.dedup.positions import by_file, positions_in, rows_of, unpacked

FILES = st.dictionaries(st.integers(0, (1 << 31) - 1), st.integers(1, 20), min_size=1, max_size=6)


@given(FILES, st.randoms(use_true_random=False))
def test_every_row_comes_back_to_its_file(sizes: dict[int, int], random: object) -> None:
    """Shuffled and packed in pieces, each position is found once, under its file and with its row."""
    positions = np.concatenate([positions_in(number, size) for number, size in sizes.items()])
    random.shuffle(positions)  # type: ignore[attr-defined]
    pairs = np.column_stack([np.arange(len(positions), dtype=np.uint64), positions])
    rows = unpacked([pairs[:3].tobytes(), pairs[3:].tobytes()], columns=2)
    assert rows.tolist() == pairs.tolist()
    found = {number: sorted(rows_of(part[:, 1]).tolist()) for number, part in by_file(rows, column=1)}
    assert found == {number: list(range(size)) for number, size in sizes.items()}
    assert sum(len(part) for _, part in by_file(rows, column=1)) == len(positions)


def test_positions_sort_by_file_then_row() -> None:
    """As join and index rely on, to the last file and row that a position can name."""
    order = np.concatenate([positions_in(0, 3), positions_in(1, 2), positions_in((1 << 32) - 1, 1)])
    assert (np.diff(order.astype(np.float64)) > 0).all()
    assert int(order[-1]) == ((1 << 32) - 1) << 32
