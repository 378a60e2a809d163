"""The language ratios of SFT as a list of commands: `ctllm ratios` runs them in one process, the flow as children.

sft 1:1 ─► evaluate 1:1 ─► sft 2:1 ─► … ─► ratios.json, ratios.svg
"""

from collections.abc import Iterator
from dataclasses import replace

from ctllm.flows import commands
from ctllm.flows.commands import Step
from ctllm.flows.pictures import Series, grouped_lines
from ctllm.model.tuning_data import read_tuning_data, rows_by_language
from ctllm.schemas.config import read_config
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join, read_json, write_json, written_whole
from ctllm.schemas.language_ratios_config import FIGURE, TABLE, LanguageRatiosConfig, RatioScores
from ctllm.schemas.training_run import SUMMARY, TrainingSummary
from ctllm.schemas.tuning_config import SftConfig
from ctllm.schemas.tuning_run import DATA_REPORT, EVALUATION, EvaluationResult


def rows_per_language(config: LanguageRatiosConfig) -> int:
    """What is configured, or the rows of the scarcer language that SFT's config leaves to train on."""
    if config.max_rows_per_language is not None:
        return config.max_rows_per_language
    data = read_config(config.sft, SftConfig).data.model_copy(update={"zh_to_en": "all", "max_rows_per_language": None})
    counts = rows_by_language(read_tuning_data(config.conversations, kind="sft", config=data).train)
    if not min(counts.values()):
        raise InputError(f"{config.conversations}: {counts['zh']} Chinese and {counts['en']} English rows; need both")
    return min(counts.values())


def run_directory(config: LanguageRatiosConfig, setting: str) -> str:
    """Where a setting's run lies: `4:1` in `zh4_en1`, `zh only` in `zh_only`."""
    zh, _, en = setting.partition(":")
    return join(config.out, f"zh{zh}_en{en}" if en else setting.replace(" ", "_"))


def ratio_steps(config: LanguageRatiosConfig) -> Iterator[Step]:
    """Training and evaluation of every setting; what is finished is not repeated by its command."""
    bound = rows_per_language(config)
    for setting in config.settings:
        out = run_directory(config, setting)
        data = {"data.zh_to_en": f"'{setting}'", "data.max_rows_per_language": str(bound)}
        step = commands.sft(
            config.sft, checkpoint=config.checkpoint, conversations=config.conversations, out=out, settings=data
        )
        yield replace(step, name=f"sft {setting}")
        if config.evaluate is not None:
            yield replace(commands.evaluate(out, config=config.evaluate, out=out), name=f"evaluate {setting}")


def scores_of(config: LanguageRatiosConfig) -> list[RatioScores]:
    """One row per setting: rows by language and everything that was measured. Raises InputError for a missing run."""
    rows: list[RatioScores] = []
    for setting in config.settings:
        run = run_directory(config, setting)
        summary = TrainingSummary.model_validate(read_json(join(run, SUMMARY)))
        if not summary.finished:
            raise InputError(f"{run}: not trained to its end; run `ctllm ratios` again")
        scores = dict(summary.evaluation)
        if config.evaluate is not None and exists(join(run, EVALUATION)):
            result = EvaluationResult.model_validate(read_json(join(run, EVALUATION)))
            scores |= {f"accuracy {name}": task.accuracy_micro for name, task in result.choice.items()}
        rows.append(
            RatioScores(
                setting=setting,
                run=run,
                rows_by_lane=read_json(join(run, DATA_REPORT))["rows_by_lane"],
                before=summary.evaluation_before,
                scores=scores,
            )
        )
    return rows


def draw_figure(config: LanguageRatiosConfig) -> list[RatioScores]:
    """Writes OUT/ratios.json and OUT/ratios.svg; gives the rows of the first."""
    rows = scores_of(config)
    names = [name for name in rows[0].scores if all(name in row.scores for row in rows)]
    series = [Series(name, [row.scores[name] for row in rows]) for name in names]
    write_json(join(config.out, TABLE), [row.model_dump() for row in rows])
    title = "zh:en in SFT; rows trained on: " + ", ".join(
        f"{row.setting} {sum(row.rows_by_lane.values()):,}" for row in rows
    )
    with written_whole(join(config.out, FIGURE)) as file:
        file.write(grouped_lines([row.setting for row in rows], series, title=title).encode())
    return rows
