"""A training run while it trains: the new lines of its ledger from a byte on, and whether it still goes."""

import json
import time
from pathlib import Path
from typing import Any

from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json
from ctllm.schemas.training_run import LEDGER, MACHINE, SUMMARY, LedgerLine

MAX_BYTES = 4 << 20  # of one answer; a reader asks again from where it ended
TAIL_BYTES = 8192
QUIET_S = 60.0  # chosen: a step on a small machine, an evaluation or a checkpoint may take that long
QUIET_STEPS = 20


def ledger_tail(run: Path, *, offset: int) -> dict[str, Any]:
    """Points of the whole lines from byte `offset` on: step, loss, learning rate, gradient norm, labels a second.

    `offset` of the answer is where to go on. With `restarted` the points are those from the beginning, because the
    ledger became shorter, as when a run resumes from an earlier checkpoint. Raises InputError for a ledger or a line
    that cannot be read.
    """
    path = run / LEDGER
    try:
        size = path.stat().st_size
        restarted = offset > size or (offset > 0 and not _is_line_start(path, offset))
        start = 0 if restarted else offset
        with path.open("rb") as file:
            file.seek(start)
            block = file.read(MAX_BYTES)
    except OSError as error:
        raise InputError(f"{LEDGER}: not there any more ({error.strerror})") from error
    whole = block[: block.rfind(b"\n") + 1]
    lines = [_parsed(text) for text in whole.splitlines()]
    end = start + len(whole)
    return {
        "offset": end,
        "restarted": restarted,
        "is_behind": size - end > MAX_BYTES // 2,
        "points": [[each.step, each.loss, each.learning_rate, each.grad_norm, each.tokens_per_s] for each in lines],
        "evaluations": [[each.step + 1, each.evaluation] for each in lines if each.evaluation],
        "label_tokens": sum(each.label_tokens for each in lines),
        "alarm": next((each.alarm for each in reversed(lines) if each.alarm), ""),
        **state_of(run),
    }


def state_of(run: Path) -> dict[str, Any]:
    """`state` running, stopped or finished; `quiet_s` since the last line; `machine` and the number of all `steps`."""
    summary = _optional(run / SUMMARY)
    try:
        written = (run / LEDGER).stat().st_mtime
    except OSError as error:
        raise InputError(f"{LEDGER}: not there any more ({error.strerror})") from error
    quiet_s = max(0.0, time.time() - written)
    last = last_line(run)
    step_s = last.label_tokens / last.tokens_per_s if last and last.tokens_per_s > 0 else 0.0
    is_ended = bool(summary) and (run / SUMMARY).stat().st_mtime >= written
    if is_ended:
        state = "finished" if summary.get("finished") else "stopped"
    else:
        state = "running" if quiet_s < max(QUIET_S, QUIET_STEPS * step_s) else "stopped"
    machine = _optional(run / MACHINE)
    return {
        "state": state,
        "quiet_s": round(quiet_s),
        "stage": summary.get("stage", ""),
        "steps": summary.get("steps"),
        "num_parameters": summary.get("num_parameters"),
        "machine": {name: machine[name] for name in ("device", "processes", "compute_dtype") if name in machine},
    }


def training_line(run: Path) -> dict[str, Any]:
    """What a list shows of a training. Raises InputError when its ledger cannot be read."""
    last = last_line(run)
    return {
        **state_of(run),
        "step": last.step + 1 if last else 0,
        "loss": last.loss if last else None,
        "tokens_per_s": last.tokens_per_s if last else None,
    }


def last_line(run: Path) -> LedgerLine | None:
    """The last whole line of the ledger; None while it has none. Reads the end of the file only."""
    path = run / LEDGER
    try:
        size = path.stat().st_size
        length = TAIL_BYTES
        while True:
            with path.open("rb") as file:
                file.seek(max(0, size - length))
                lines = file.read(length).split(b"\n")[:-1]
            if len(lines) >= 2 or length >= size:
                return _parsed(lines[-1]) if lines else None
            length *= 8
    except OSError as error:
        raise InputError(f"{LEDGER}: not there any more ({error.strerror})") from error


def _is_line_start(path: Path, offset: int) -> bool:
    with path.open("rb") as file:
        file.seek(offset - 1)
        return file.read(1) == b"\n"


def _parsed(text: bytes) -> LedgerLine:
    try:
        return LedgerLine.model_validate_json(text)
    except ValueError as error:
        raise InputError(f"{LEDGER}: not a line of a ledger ({str(error).splitlines()[0]})") from error


def _optional(path: Path) -> dict[str, Any]:
    """The JSON object at `path`; empty where there is none, or none that can be read, such as half of one."""
    try:
        value = read_json(str(path))
    except (InputError, OSError, json.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
