"""Document keys: where a row came from, packed into 64 bits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas.document import MAX_ROWS_PER_SPLIT, SPLIT_BITS, document_keys, snapshot_of, split_of


@given(
    snapshot=st.integers(0, 4095),
    split=st.integers(0, (1 << SPLIT_BITS) - 1),
    row=st.integers(0, MAX_ROWS_PER_SPLIT - 3),
)
def test_key_gives_back_where_it_came_from(snapshot: int, split: int, row: int) -> None:
    """Snapshot, split and row can be read out of a key, at every corner of their ranges."""
    keys = document_keys(snapshot=snapshot, split=split, first_row=row, num_rows=3)
    assert keys.dtype == np.uint64
    assert (split_of(keys) == split).all()
    assert (snapshot_of(keys) == snapshot).all()
    assert (keys & np.uint64(MAX_ROWS_PER_SPLIT - 1)).tolist() == [row, row + 1, row + 2]
