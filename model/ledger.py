"""`RUN/ledger.jsonl`: one line per optimizer step, each step exactly once however often the run was killed.

Lines written after a checkpoint are cut off when the run resumes from it, and written again by the resumed run.
"""

import os
from pathlib import Path

from ctllm.schemas.errors import AccountingError
from ctllm.schemas.files import output_errors
from ctllm.schemas.training_run import LEDGER, LedgerLine


class Ledger:
    """Appends lines; `num_bytes` of a checkpoint says where to cut. A context manager, which closes the file."""

    def __init__(self, run: str, *, num_bytes: int, writes: bool = True) -> None:
        """Cuts the ledger to `num_bytes`; without `writes` nothing is done to it, as in all processes but the first.

        Raises AccountingError when it is shorter: lines of this run were lost.
        """
        self._path, self._file = Path(run) / LEDGER, None
        if not writes:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        self.cut(num_bytes)

    def cut(self, num_bytes: int) -> None:
        """Drops what follows the first `num_bytes`. Raises AccountingError when there are fewer."""
        if self._file is None:
            return
        size = self._path.stat().st_size
        if size < num_bytes:
            raise AccountingError(
                f"{self._path}: {size} bytes, the checkpoint was written after {num_bytes}; was it edited?"
            )
        self._file.truncate(num_bytes)

    def append(self, line: LedgerLine) -> None:
        """Writes one line through to the operating system, so that it survives the death of the process."""
        if self._file is not None:
            with output_errors(str(self._path)):
                self._file.write(line.model_dump_json(exclude_defaults=True).encode() + b"\n")
                self._file.flush()

    def settle(self) -> int:
        """Flushes to the disk and returns the length in bytes; 0 without `writes`."""
        if self._file is None:
            return 0
        with output_errors(str(self._path)):
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def read_ledger(run: str) -> list[LedgerLine]:
    """All whole lines of the run's ledger, in order."""
    path = Path(run) / LEDGER
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [LedgerLine.model_validate_json(line) for line in lines]
