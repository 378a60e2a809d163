"""What the data card shows of a training run: its curves, what went wrong, its checkpoints, what was measured."""

from typing import Any

import fsspec
from pydantic import ValidationError

from ctllm.schemas.contents import CHECKPOINTS, MANIFEST, WEIGHTS
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, filesystem_of, join, read_json
from ctllm.schemas.language_ratios_config import TABLE, RatioScores
from ctllm.schemas.training_run import LEDGER, MACHINE, SUMMARY, LedgerLine
from ctllm.schemas.tuning_run import EVALUATION, EvaluationResult

MAX_POINTS = 1000  # chosen: a chart on a page is about a thousand pixels wide
MAX_TROUBLES = 200


def training_curves(directory: str) -> dict[str, Any]:
    """Name, curve, troubles, checkpoints and results of the training run in `directory`, JSON values only.

    A point of the curve is step, loss, learning rate, gradient norm, labels a second, model FLOPs utilisation, share of
    the machine's own matrix product; null where it is not known. A ledger of more than `MAX_POINTS` lines is thinned to
    every n-th, first and last kept. Raises InputError when there is no ledger, or a line of it cannot be read.
    """
    lines = _read_ledger(join(directory, LEDGER))
    shown = lines[:: -(-len(lines) // MAX_POINTS)] if lines else []
    if lines and shown[-1] is not lines[-1]:
        shown.append(lines[-1])
    evaluated = [line for line in lines if line.evaluation]
    before = lines[0].evaluation_before if lines else {}
    results = _optional(join(directory, EVALUATION))
    return {
        "name": directory.rstrip("/").rsplit("/", 1)[-1],
        "steps": len(lines),
        "label_tokens": sum(line.label_tokens for line in lines),
        "curve": [_point(line) for line in shown],
        "troubles": [[line.step, kind, line.grad_norm] for line in lines for kind in _troubles(line)][-MAX_TROUBLES:],
        "checkpoints": _checkpoints(directory),
        "evaluations": [[line.step + 1, line.evaluation] for line in evaluated],
        "samples": next(([line.step + 1, line.samples] for line in reversed(evaluated) if line.samples), None),
        "before": before,
        "after": evaluated[-1].evaluation if evaluated else {},
        "summary": _optional(join(directory, SUMMARY)),
        "machine": _optional(join(directory, MACHINE)),
        "scores": _scores(results),
        "results": {} if _scores(results) else _flat(results),
    }


def with_ratios(directories: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The training runs to show, those of a `ctllm ratios` directory in its place; and the rows of its ratios.json."""
    runs, rows = [], []
    for directory in directories:
        if not exists(join(directory, TABLE)):
            runs.append(directory)
            continue
        for row in read_json(join(directory, TABLE)):
            scores = RatioScores.model_validate(row)
            moved = join(directory, scores.run.rstrip("/").rsplit("/", 1)[-1])  # the directory may lie elsewhere now
            runs.append(moved if exists(moved) else scores.run)
            rows.append(scores.model_dump(include={"setting", "rows_by_lane", "before", "scores"}))
    return runs, rows


def _point(line: LedgerLine) -> list[float | None]:
    mfu, share = (line.speed.mfu, line.speed.gemm_share) if line.speed else (None, None)
    values = (line.loss, line.learning_rate, line.grad_norm, line.tokens_per_s, mfu, share)
    return [line.step, *(None if value is None else float(f"{value:.6g}") for value in values)]


def _troubles(line: LedgerLine) -> list[str]:
    """What is wrong with a step: `skipped`, `left_out`, or the ledger's own words for an alarm."""
    kinds = [name for name in ("skipped", "left_out") if getattr(line, name)]
    return [*kinds, line.alarm] if line.alarm else kinds


def _checkpoints(directory: str) -> list[list[Any]]:
    """Step, labels trained on and sha256 of the weights of every checkpoint that is there, oldest first."""
    fs, root = filesystem_of(join(directory, CHECKPOINTS))
    names = sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in fs.ls(root, detail=False)) if fs.exists(root) else []
    found = []
    for name in names:
        place = join(directory, CHECKPOINTS, name)
        if name.startswith("step-") and exists(join(place, MANIFEST)) and exists(join(place, "state.json")):
            state = read_json(join(place, "state.json"))
            found.append([state["step"], state["label_tokens"], read_json(join(place, MANIFEST))[WEIGHTS]])
    return found


def _scores(results: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - whatever JSON can hold
    """One row per measure of an `evaluation.json`; empty for a file that is none.

    `error` is the standard error; `chance` what guessing scores, `constant` what the best constant answer does.
    """
    try:
        result = EvaluationResult.model_validate(results)
    except ValidationError:
        return []
    rows: list[dict[str, Any]] = [
        {"kind": "bits_per_byte", "name": lane, "value": each["bits_per_byte"], "documents": each.get("num_documents")}
        for lane, each in result.bits_per_byte.items()
    ]
    for name, choice in result.choice.items():
        row = {"kind": "choice", "name": name, "value": choice.accuracy_micro, "error": choice.standard_error}
        row |= {"items": choice.items, "chance": choice.chance, "constant": choice.constant_letter_accuracy}
        row |= {"setting": f"{choice.form}, {choice.num_shots}-shot", "contaminated": choice.items_contaminated}
        rows.append(row | {"clean": choice.accuracy_clean, "prompt": choice.prompt_digest})
    for name, text in result.text.items():
        row = {"kind": "text", "name": name, "value": text.accuracy, "error": text.standard_error, "items": text.items}
        row |= {"setting": f"{text.num_shots}-shot", "contaminated": text.items_contaminated}
        rows.append(row | {"clean": text.accuracy_clean, "prompt": text.prompt_digest})
    if pairs := result.preferences:
        row = {"kind": "preferences", "name": "preferences", "value": pairs.accuracy, "error": pairs.standard_error}
        rows.append(row | {"items": pairs.pairs, "chance": 0.5})
    return rows


def _read_ledger(path: str) -> list[LedgerLine]:
    if not exists(path):
        raise InputError(f"{path}: not there; give the `out` directory of a `ctllm pretrain`, `sft`, `dpo` or `ratios`")
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
