"""Checkpoints side by side, with what others published: a table, and a picture without a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from ctllm.schemas.config import read_config
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json, written_whole
from ctllm.schemas.published_scores import PublishedScore, PublishedScores
from ctllm.schemas.tuning_run import EVALUATION, EvaluationResult

PUBLISHED = "configs/published/scores.yaml"
MARK = "*"
"""Stands at the name of a model whose scores others published."""


@dataclass(frozen=True)
class Comparison:
    """One row per measure, one column per model; None where a model was not measured."""

    models: list[str]
    rows: list[tuple[str, list[float | None]]]
    errors: list[list[float | None]]
    """Standard errors of the same cells."""
    sources: list[str]
    """One line per published model."""
    warnings: list[str]
    """Measures whose models were asked in different words."""


def read_results(paths: Sequence[str]) -> list[tuple[str, EvaluationResult]]:
    """Name and result of each evaluation.json, or of the directory with one. Raises InputError."""
    results = []
    for path in paths:
        file = path if path.endswith(".json") else str(Path(path) / EVALUATION)
        if not Path(file).is_file():
            raise InputError(f"{path}: no {EVALUATION} here; run `ctllm evaluate` with --out {path} first")
        name = Path(file).resolve().parent.name
        results.append((name, EvaluationResult.model_validate(read_json(file))))
    names = [name for name, _ in results]
    if len(set(names)) < len(names):  # runs of the same name in different places
        results = [(path, result) for path, (_, result) in zip(paths, results, strict=True)]
    return results


def read_published() -> tuple[PublishedScore, ...]:
    """The scores that come with the package."""
    return read_config(PUBLISHED, PublishedScores).scores


def compare(results: Sequence[tuple[str, EvaluationResult]], published: Sequence[PublishedScore] = ()) -> Comparison:
    """Measures in the order in which they are first met; published models after ours, for measures that ours have."""
    cells = {name: _measures(result) for name, result in results}
    names = list(dict.fromkeys(measure for each in cells.values() for measure in each))
    shown = [score for score in published if score.task in names]
    others: dict[str, dict[str, tuple[float, float | None]]] = {}
    for score in shown:
        others.setdefault(f"{score.model}{MARK}", {})[score.task] = (score.accuracy, None)
    columns = cells | others
    none = (None, None)
    return Comparison(
        models=list(columns),
        rows=[(name, [each.get(name, none)[0] for each in columns.values()]) for name in names],
        errors=[[each.get(name, none)[1] for each in columns.values()] for name in names],
        sources=list(dict.fromkeys(f"{MARK} {score.model}, published: {score.source}" for score in shown)),
        warnings=_warnings(results),
    )


def _measures(result: EvaluationResult) -> dict[str, tuple[float, float | None]]:
    """Measure to value and standard error."""
    lanes = {f"bits per byte, {lane}": (each["bits_per_byte"], None) for lane, each in result.bits_per_byte.items()}
    choice = {name: (task.accuracy_micro, task.standard_error) for name, task in result.choice.items()}
    text = {name: (task.accuracy, task.standard_error) for name, task in result.text.items()}
    pairs = result.preferences
    preferred = {"preference accuracy": (pairs.accuracy, pairs.standard_error)} if pairs else {}
    return {**lanes, **choice, **text, **preferred}


def _warnings(results: Sequence[tuple[str, EvaluationResult]]) -> list[str]:
    digests: dict[str, set[tuple[str, int]]] = {}
    for _, result in results:
        for name, task in result.choice.items():
            digests.setdefault(name, set()).add((task.prompt_digest, task.items))
        for name, text in result.text.items():
            digests.setdefault(name, set()).add((text.prompt_digest, text.items))
    different = [name for name, found in digests.items() if len(found) > 1]
    return [f"{name}: other prompts or items; these scores cannot be compared" for name in different]


def write_picture(comparison: Comparison, path: str) -> None:
    """Bars of the shares, a group per measure, as one HTML file that needs no network; published models are hatched."""
    shares = [
        (name, values, errors)
        for (name, values), errors in zip(comparison.rows, comparison.errors, strict=True)
        if not name.startswith("bits per byte")
    ]
    figure = go.Figure()
    for column, model in enumerate(comparison.models):
        figure.add_bar(
            name=model,
            x=[name for name, _, _ in shares],
            y=[values[column] for _, values, _ in shares],
            error_y={"type": "data", "array": [errors[column] or 0 for _, _, errors in shares]},
            marker={"pattern": {"shape": "/" if model.endswith(MARK) else ""}},
        )
    notes = "<br>".join(comparison.sources)
    figure.update_layout(
        title="accuracy, standard errors as whiskers; * as published",
        barmode="group",
        yaxis={"range": [0, 1]},
        annotations=[{"text": notes, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "y": -0.3}],
        margin={"b": 80 + 20 * len(comparison.sources)},
    )
    with written_whole(path) as file:
        file.write(figure.to_html(include_plotlyjs=True).encode())
