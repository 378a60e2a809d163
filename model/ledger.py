"""`RUN/ledger.jsonl`: one line per optimizer step, each step exactly once however often the run was killed.

Lines written after a checkpoint are cut off when the run resumes from it, and written again by the resumed run.
"""

import os
from pathlib import Path

from ctllm.schemas.errors import AccountingError
from ctllm.schemas.training_run import LEDGER, LedgerLine


class Ledger:
    """Appends lines; `num_bytes` of a checkpoint says where to cut."""

    def __init__(self, run: str, *, num_bytes: int) -> None:
        """Cuts the ledger to `num_bytes`. Raises AccountingError when it is shorter: lines of this run were lost."""
        path = Path(run) / LEDGER
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        size = path.stat().st_size
        if size < num_bytes:
            raise AccountingError(f"{path}: {size} bytes, the checkpoint was written after {num_bytes}; was it edited?")
        self._file.truncate(num_bytes)

    def append(self, line: LedgerLine) -> None:
        """Writes one line through to the operating system, so that it survives the death of the process."""
        self._file.write(line.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self._file.flush()

    def settle(self) -> int:
        """Flushes to the disk and returns the length in bytes."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_ledger(run: str) -> list[LedgerLine]:
    """All whole lines of the run's ledger, in order."""
    path = Path(run) / LEDGER
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [LedgerLine.model_validate_json(line) for line in lines]
