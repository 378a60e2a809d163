"""What the data card shows of a training run: its loss curve and what was measured before and after."""

from typing import Any

import fsspec

from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join, read_json
from ctllm.schemas.training_run import LEDGER, SUMMARY, LedgerLine

MAX_POINTS = 1000  # chosen: a chart on a page is about a thousand pixels wide
EVALUATION = "evaluation.json"


def training_curves(directory: str) -> dict[str, Any]:
    """Name, curve, evaluations and results of the training run in `directory`, JSON values only.

    A ledger of more than `MAX_POINTS` lines is thinned to every n-th, first and last kept. Raises InputError when there
    is no ledger, or a line of it cannot be read.
    """
    lines = _read_ledger(join(directory, LEDGER))
    shown = lines[:: -(-len(lines) // MAX_POINTS)] if lines else []
    if lines and shown[-1] is not lines[-1]:
        shown.append(lines[-1])
    evaluated = [line for line in lines if line.evaluation]
    before = lines[0].evaluation_before if lines else {}
    return {
        "name": directory.rstrip("/").rsplit("/", 1)[-1],
        "steps": len(lines),
        "label_tokens": sum(line.label_tokens for line in lines),
        "curve": [[line.step, line.loss, line.learning_rate, line.grad_norm, line.tokens_per_s] for line in shown],
        "evaluations": [[line.step + 1, line.evaluation] for line in evaluated],
        "samples": next(([line.step + 1, line.samples] for line in reversed(evaluated) if line.samples), None),
        "before": before,
        "after": evaluated[-1].evaluation if evaluated else {},
        "summary": _optional(join(directory, SUMMARY)),
        "results": _flat(_optional(join(directory, EVALUATION))),
    }


def _read_ledger(path: str) -> list[LedgerLine]:
    if not exists(path):
        raise InputError(f"{path}: not there; give the `out` directory of a `ctllm pretrain`, `sft` or `dpo`")
    lines = []
    with fsspec.open(path, "rb") as file:
        whole_lines = file.read().split(b"\n")[:-1]  # what follows the last line feed is still being written
    for number, text in enumerate(whole_lines, start=1):
        try:
            lines.append(LedgerLine.model_validate_json(text))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not a line of a ledger ({error})") from error
    return lines


def _optional(path: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
    return read_json(path) if exists(path) else {}


def _flat(value: Any, prefix: str = "") -> dict[str, float]:  # noqa: ANN401 - whatever JSON can hold
    """Every number in nested mappings under its dotted path: {"a": {"b": 1}} is {"a.b": 1}."""
    if isinstance(value, dict):
        pairs = (_flat(each, f"{prefix}.{name}" if prefix else str(name)) for name, each in sorted(value.items()))
        return {name: number for pair in pairs for name, number in pair.items()}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {prefix: value} if is_number else {}
