"""`--suite zh|en|code|full`: the benchmarks of `configs/benchmarks/published.yaml` as tasks on local files."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctllm.schemas.config import read_config
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.evaluation_config import (
    BenchmarkCatalogue,
    BenchmarkConfig,
    ChoiceTaskConfig,
    EvaluateConfig,
    Style,
    TextTaskConfig,
)

CATALOGUE = "configs/benchmarks/published.yaml"
SUITES = ("zh", "en", "code", "full")


@dataclass(frozen=True)
class SuiteTasks:
    """What a suite means on the files that are there."""

    choice: tuple[ChoiceTaskConfig, ...]
    text: tuple[TextTaskConfig, ...]
    missing: tuple[str, ...]
    """A sentence per benchmark whose files are not there, with what brings them."""

    def added_to(self, config: EvaluateConfig | None) -> EvaluateConfig:
        """The config with these tasks."""
        values = config.model_dump() if config else {}
        return EvaluateConfig.model_validate(
            {
                **values,
                "choice": [*values.get("choice", ()), *(task.model_dump() for task in self.choice)],
                "text": [*values.get("text", ()), *(task.model_dump() for task in self.text)],
            }
        )


def suite_tasks(
    suite: str,
    *,
    data: Sequence[str],
    style: Style = "lm_eval",
    num_shots: int | None = None,
    max_items: int | None = None,
    allows_missing: bool = False,
) -> SuiteTasks:
    """The tasks of a suite. `num_shots` and `max_items` (per file) take the place of the benchmarks' own.

    Raises ConfigError for an unknown suite, InputError when a file is missing, unless that is allowed and some are
    there.
    """
    if suite not in SUITES:
        raise ConfigError(f"--suite {suite}: unknown; one of {', '.join(SUITES)}")
    catalogue = read_config(CATALOGUE, BenchmarkCatalogue).benchmarks
    wanted = {name: each for name, each in catalogue.items() if suite == "full" or suite in each.suites}
    found, missing = _find(wanted, data)
    if missing and not (allows_missing and found):
        lines = "\n".join(missing)
        raise InputError(f"{lines}\nfetch what is missing, or pass --skip-missing to measure the rest")
    choice, text = list[ChoiceTaskConfig](), list[TextTaskConfig]()
    for name, files in found.items():
        benchmark = wanted[name]
        shots = benchmark.num_shots if num_shots is None else num_shots
        examples = _first_match(benchmark.shots, data) if shots else ()
        if shots and not examples:
            if benchmark.shots:
                missing.append(_sentence(name, benchmark, benchmark.shots, data))
            shots = 0
        if benchmark.kind == "choice":
            choice += _choice_tasks(name, benchmark, files, examples, shots, style=style, max_items=max_items)
        else:
            text.append(
                TextTaskConfig(
                    name=name,
                    kind=benchmark.kind,
                    items=files,
                    shots=examples,
                    num_shots=shots,
                    max_items=max_items,
                    max_new_tokens=benchmark.max_new_tokens,
                )
            )
    return SuiteTasks(tuple(choice), tuple(text), tuple(missing))


def _find(wanted: Mapping[str, BenchmarkConfig], data: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    found, missing = dict[str, tuple[str, ...]](), list[str]()
    for name, benchmark in wanted.items():
        if files := _first_match(benchmark.files, data):
            found[name] = files
        else:
            missing.append(_sentence(name, benchmark, benchmark.files, data))
    return found, missing


def _first_match(patterns: Sequence[str], data: Sequence[str]) -> tuple[str, ...]:
    for pattern in patterns:
        for directory in data:
            if files := sorted(glob.glob(str(Path(directory) / pattern))):  # noqa: PTH207 - the pattern is a path
                return tuple(files)
    return ()


def _sentence(name: str, benchmark: BenchmarkConfig, patterns: Sequence[str], data: Sequence[str]) -> str:
    where = ", ".join(data) or "(no --data)"
    return f"{name}: no {' or '.join(patterns)} below {where}; it comes by: {benchmark.fetch}"


def _choice_tasks(
    name: str,
    benchmark: BenchmarkConfig,
    files: tuple[str, ...],
    shots: tuple[str, ...],
    num_shots: int,
    *,
    style: Style,
    max_items: int | None,
) -> list[ChoiceTaskConfig]:
    """One per form; a benchmark's own wording is for its first form."""
    return [
        ChoiceTaskConfig(
            name=name if form == benchmark.forms[0] else f"{name}-{form}",
            items=files,
            form=form,
            language=benchmark.language,
            style=style,
            wording=benchmark.wordings.get(style) if form == benchmark.forms[0] else None,
            normalisation=benchmark.normalisation,
            subject_names=benchmark.subject_names,
            shots=shots if form == benchmark.forms[0] else (),
            num_shots=num_shots if form == benchmark.forms[0] else 0,
            max_items=max_items,
        )
        for form in benchmark.forms
    ]
