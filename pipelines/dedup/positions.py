"""Where a document stands among the files of a join: file number << 32 | row, and packed rows of such numbers."""

from collections.abc import Iterable, Iterator

import numpy as np

FILE_SHIFT_BITS = 32
_FILE_SHIFT = np.uint64(FILE_SHIFT_BITS)
_ROW_MASK = np.uint64(0xFFFFFFFF)


def positions_in(number: int, num_rows: int) -> np.ndarray:
    """The positions of all rows of a file: (num_rows,), uint64."""
    return (np.uint64(number) << _FILE_SHIFT) | np.arange(num_rows, dtype=np.uint64)


def rows_of(positions: np.ndarray) -> np.ndarray:
    """The row of each position in its file: int64."""
    return np.asarray((positions & _ROW_MASK).astype(np.int64))


def by_file(rows: np.ndarray, *, column: int) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of each file that the positions in `column` lie in."""
    files = rows[:, column] >> _FILE_SHIFT
    for number in np.unique(files).tolist():
        yield number, rows[files == number]


def unpacked(packed: Iterable[bytes | memoryview], *, columns: int) -> np.ndarray:
    """(n, columns), uint64."""
    return np.frombuffer(b"".join(packed), np.uint64).reshape(-1, columns)
