"""The ledger: lines survive, and are cut where a resume begins."""

from pathlib import Path

import pytest

from ctllm.model.ledger import Ledger, read_ledger
from ctllm.schemas.errors import AccountingError, OutputError
from ctllm.schemas.training_run import LEDGER, LedgerLine


def line(step: int) -> LedgerLine:
    """A line of the given step."""
    return LedgerLine(
        step=step, batch="b", label_tokens=8, loss=2.5, grad_norm=0.5, learning_rate=1e-3, tokens_per_s=100.0
    )


def test_a_resume_cuts_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    """Steps after the checkpoint, and half a line, are gone; what the resumed run writes follows without a gap."""
    ledger = Ledger(str(tmp_path), num_bytes=0)
    for step in range(3):
        ledger.append(line(step))
    at_checkpoint = ledger.settle()
    ledger.append(line(3))
    ledger.close()
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(b'{"step": 4, "ba')
    assert [each.step for each in read_ledger(str(tmp_path))] == [0, 1, 2, 3]
    resumed = Ledger(str(tmp_path), num_bytes=at_checkpoint)
    resumed.append(line(3))
    resumed.close()
    assert read_ledger(str(tmp_path)) == [line(step) for step in range(4)]


def test_a_shortened_ledger_is_noticed(tmp_path: Path) -> None:
    """Lines that the checkpoint counted on and that are gone are an error."""
    with pytest.raises(AccountingError, match="0 bytes, the checkpoint was written after 5"):
        Ledger(str(tmp_path), num_bytes=5)


def test_no_ledger_no_lines(tmp_path: Path) -> None:
    """A run that never took a step has an empty ledger."""
    assert read_ledger(str(tmp_path)) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """A line that finds no room ends in one sentence; the device that is always full stands for it."""
    ledger = Ledger(str(tmp_path), num_bytes=0)
    ledger._file = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115 - closed with the ledger
    with pytest.raises(OutputError, match=r"ledger\.jsonl: no space left on the device; free some"):
        ledger.append(line(0))
