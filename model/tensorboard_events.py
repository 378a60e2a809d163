"""Ledgers as TensorBoard's event files: every number of every line, as float32; the ledger stays the record.

Steps count updates done: a line's loss, norms and speed stand at its step, an evaluation after its update one further,
so that what was measured before the first update stands at 0. Samples are texts.
"""

import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ctllm.model.ledger import read_ledger
from ctllm.schemas.errors import InputError, MissingPartError
from ctllm.schemas.files import remove_tree
from ctllm.schemas.training_run import LEDGER, LedgerLine

NOT_NUMBERS = frozenset({"step", "batch", "speed", "values", "evaluation", "evaluation_before", "samples", "alarm"})
"""Of a line: its place, its digest and what has tags of its own."""


def write_events(runs: Sequence[str], *, out: str) -> dict[str, int]:
    """Writes OUT/<run's path> for each run, anew; returns how many lines each ledger has.

    A run that still trains has as many as it has come to; the same command again shows the others. Raises
    MissingPartError without the package tensorboard, InputError for a directory without a ledger.
    """
    if find_spec("tensorboard") is None:
        raise MissingPartError("tensorboard is not installed; run pip install 'ctllm[tensorboard]'")
    counts = {}
    for run, name in zip(runs, _names(runs), strict=True):
        lines = read_ledger(run)
        if not lines:
            raise InputError(f"{run}: no line in {LEDGER} here; give the directory of a training")
        counts[name] = len(lines)
        _write(lines, directory=str(Path(out) / name), ended_at=(Path(run) / LEDGER).stat().st_mtime)
    return counts


def scalars(line: LedgerLine) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of every number of a line."""
    for name, value in line.model_dump(exclude=set(NOT_NUMBERS)).items():
        yield name, line.step, float(value)
    yield "alarm", line.step, float(bool(line.alarm))
    for name, value in (line.speed.model_dump() if line.speed else {}).items():
        if value is not None:
            yield f"speed/{name}", line.step, value
    for name, value in line.values.items():
        yield f"values/{name}", line.step, value
    for name, value in line.evaluation_before.items():
        yield f"evaluation/{name}", line.step, value
    for name, value in line.evaluation.items():
        yield f"evaluation/{name}", line.step + 1, value


def _names(runs: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell the runs apart: `m3/sft` and `m3/dpo` are `sft` and `dpo`.

    Raises InputError when a run is named twice.
    """
    parts = [Path(run).resolve().parts for run in runs]
    if len(set(parts)) < len(parts):
        raise InputError(f"{', '.join(runs)}: one run is named twice")
    length = next(n for n in range(1, max(map(len, parts)) + 1) if len({each[-n:] for each in parts}) == len(parts))
    return ["-".join(each[-length:]) for each in parts]


def _write(lines: Sequence[LedgerLine], *, directory: str, ended_at: float) -> None:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - its import fails without the extra

    remove_tree(directory)
    seconds = [line.label_tokens / line.tokens_per_s if line.tokens_per_s else 0.0 for line in lines]
    at = ended_at - math.fsum(seconds)
    writer: Any = SummaryWriter(directory)
    for line, duration in zip(lines, seconds, strict=True):
        at += duration
        for tag, step, value in scalars(line):
            writer.add_scalar(tag, value, step, walltime=at)  # TensorBoard 2.21's own loader shows no doubles
        for beginning, text in line.samples.items():
            writer.add_text(f"samples/{beginning}", text, line.step + 1, walltime=at)
    writer.close()
