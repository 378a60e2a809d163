"""All that is measured on one checkpoint: `evaluation.json`, schema `EvaluationResult`, and the tables beside it."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.evaluation.bits_per_byte import bits_per_byte, held_out_documents
from ctllm.model.evaluation.choice import CLEAN, ChoiceTask
from ctllm.model.evaluation.contaminated import read_contaminated
from ctllm.model.evaluation.tables import ITEMS, SCORES, ItemRow, write_items, write_scores
from ctllm.model.evaluation.text_tasks import TextTask
from ctllm.model.plan import Plan
from ctllm.model.preference_pairs import preference_accuracy, tokenize_pairs
from ctllm.model.shared_work import SharedWork
from ctllm.model.token_shards import TokenShards
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer, num_parameters
from ctllm.model.tuning_data import read_tuning_data
from ctllm.schemas.errors import InputError
from ctllm.schemas.evaluation_config import EvaluateConfig
from ctllm.schemas.files import join, write_json
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.training_run import TrainingState
from ctllm.schemas.tuning_run import EVALUATION, ChoiceResult, EvaluationResult, PreferenceResult, TextResult


def evaluate_checkpoint(
    checkpoint: str, *, config: EvaluateConfig, out: str, missing: Sequence[str] = (), progress: Progress = silent
) -> EvaluationResult:
    """Measures a checkpoint (or a run's newest one), writes the files to `out` and returns what stands in the first.

    `missing` names benchmarks that were wanted and are not there. Raises InputError when something to measure on is
    missing, or was made with another tokenizer.
    """
    started = time.monotonic()
    directory = find_checkpoint(checkpoint)
    tasks = _Tasks(config)  # before the model: a wrong path fails at once
    model, model_config = load_model(directory, device=_device(config))
    tokenizer = Tokenizer(directory)
    plan_digest, bits = _bits_per_byte(config, model, tokenizer=tokenizer, progress=progress)
    choice, text, items = tasks.run(model, tokenizer, progress=progress)
    result = EvaluationResult(
        checkpoint=directory,
        step=TrainingState.model_validate_json((Path(directory) / "state.json").read_text()).step,
        num_parameters=num_parameters(model_config),
        weights_digest=weights_digest(model),
        tokenizer_digest=tokenizer.digest,
        config=config.model_dump(mode="json"),
        plan_digest=plan_digest,
        bits_per_byte=bits,
        choice=choice,
        text=text,
        curation=config.curation,
        missing=list(missing),
        preferences=_preferences(config, model, tokenizer=tokenizer, progress=progress),
        seconds=round(time.monotonic() - started, 3),
    )
    write_items(join(out, ITEMS), items)
    write_scores(join(out, SCORES), result)
    write_json(join(out, EVALUATION), result.model_dump(mode="json"))
    return result


class _Tasks:
    """The benchmarks of a config, their files read."""

    def __init__(self, config: EvaluateConfig) -> None:
        self._config = config
        self._tasks: dict[str, ChoiceTask | TextTask] = {task.name: ChoiceTask(task) for task in config.choice}
        self._tasks |= {task.name: TextTask(task) for task in config.text}
        self._contaminated = CLEAN
        if config.curation is not None:
            self._contaminated = read_contaminated(config.curation, max_overlap=config.max_benchmark_overlap)

    def run(
        self, model: Transformer, tokenizer: Tokenizer, *, progress: Progress
    ) -> tuple[dict[str, ChoiceResult], dict[str, TextResult], list[ItemRow]]:
        """Results by name, and the rows of all items."""
        choice, text, items = dict[str, ChoiceResult](), dict[str, TextResult](), list[ItemRow]()
        for name, task in self._tasks.items():
            result, rows = task.run(
                model,
                tokenizer=tokenizer,
                per_batch=self._config.sequences_per_batch,
                contaminated=self._contaminated,
                progress=progress,
            )
            items += rows
            if isinstance(result, ChoiceResult):
                choice[name] = result
            else:
                text[name] = result
        return choice, text, items


def _device(config: EvaluateConfig) -> str:
    if config.device != "auto":
        return config.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _bits_per_byte(
    config: EvaluateConfig, model: Transformer, *, tokenizer: Tokenizer, progress: Progress
) -> tuple[str | None, dict[str, dict[str, float]]]:
    """The plan's digest and, per lane, bits per byte with what they were measured on."""
    if config.tokens is None or config.plan is None:
        return None, {}
    shards = TokenShards(config.tokens)
    if shards.manifest.tokenizer_digest != tokenizer.digest:
        raise InputError(
            f"{config.tokens}: tokenized with another tokenizer than the checkpoint's; tokenize again with it"
        )
    plan = Plan(config.plan, shards=shards)
    work = SharedWork(progress=progress, stage="bits per byte")
    lanes = bits_per_byte(model, held_out_documents(plan, shards), work=work)
    figures = {
        lane: {
            "bits_per_byte": each.value,
            "num_bytes": float(each.num_bytes),
            "num_tokens": float(each.num_tokens),
            "num_documents": float(each.num_documents),
        }
        for lane, each in lanes.items()
    }
    return plan.manifest.plan_digest, figures


def _preferences(
    config: EvaluateConfig, model: Transformer, *, tokenizer: Tokenizer, progress: Progress
) -> PreferenceResult | None:
    if config.preferences is None:
        return None
    rows = read_tuning_data(config.preferences, kind="preference", config=config.preference_data).held_out
    pairs = tokenize_pairs(rows, tokenizer=tokenizer, context_length=model.config.context_length).pairs
    work = SharedWork(progress=progress, stage="preferences")
    return preference_accuracy(model, pairs, padding_id=tokenizer.end_of_document_id, work=work)
