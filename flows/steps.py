"""The whole way as a list of commands: what `ctllm demo` runs in one process and the flow runs as child processes.

    curate ─► tokenizer ─► tokenize ─► plan ─► pretrain ─► sft ─► dpo ─► evaluate ─► export ─► generate ─► report

Every path below the workspace is named here and nowhere else. No command repeats what is finished.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ctllm.flows import commands
from ctllm.flows.commands import Step
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.files import exists, join
from ctllm.schemas.training_run import SUMMARY

TRAININGS = ("pretrain", "sft", "dpo")


@dataclass(frozen=True)
class Workspace:
    """Where each product of the whole way lies below one directory."""

    root: Path

    def path(self, name: str) -> str:
        """The directory or file `name` of the workspace."""
        return str(self.root / name)


def steps(config: EndToEndConfig, workspace: Workspace) -> list[Step]:
    """All commands of the whole way that are not known to be done, in order."""
    return [*data_steps(config, workspace), *training_steps(config, workspace), *closing_steps(config, workspace)]


def data_steps(config: EndToEndConfig, workspace: Workspace) -> Iterator[Step]:
    """Raw sources to token shards and a plan; chat files to Parquet."""
    at, workers = workspace.path, config.workers
    run, model = at("curated"), at("tokenizer/tokenizer.model")
    yield commands.curate(config.inputs, config=config.curation, out=run, workers=workers)
    yield commands.tokenizer(run, config=config.tokenizer, out=at("tokenizer"))
    yield commands.tokenize(run, tokenizer=model, out=at("tokens"), workers=workers)
    yield commands.plan(at("tokens"), config=config.plan, out=at("plan"))
    for kind, files in (("conversations", config.conversations), ("preferences", config.preferences)):
        yield commands.conversations(files, kind=kind, out=at(kind), benchmarks=config.benchmarks, workers=workers)


def training_steps(config: EndToEndConfig, workspace: Workspace) -> Iterator[Step]:
    """Pretraining, SFT and DPO, each continued where it was stopped or killed.

    With a time limit, a training that has reached it is left as it is: trained further, it would give other weights
    than those that the next training began with.
    """
    for step in _trainings(config, workspace):
        if config.max_training_seconds is None or not exists(join(step.out, SUMMARY)):
            yield step


def _trainings(config: EndToEndConfig, workspace: Workspace) -> Iterator[Step]:
    at, seconds = workspace.path, config.max_training_seconds
    plan, chats, pairs = at("plan"), at("conversations"), at("preferences")
    yield commands.pretrain(config.pretrain, tokens=at("tokens"), plan=plan, out=at("pretrain"), max_seconds=seconds)
    yield commands.sft(config.sft, checkpoint=at("pretrain"), conversations=chats, out=at("sft"), max_seconds=seconds)
    yield commands.dpo(config.dpo, checkpoint=at("sft"), preferences=pairs, out=at("dpo"), max_seconds=seconds)


def closing_steps(config: EndToEndConfig, workspace: Workspace) -> Iterator[Step]:
    """Evaluation of every checkpoint, export of the last, samples, the report."""
    at = workspace.path
    data = {name: at(name) for name in ("tokens", "plan", "preferences")}
    for training in TRAININGS:
        step = commands.evaluate(at(training), config=config.evaluate, out=at(training), **data)
        yield replace(step, name=f"evaluate {training}")
    yield commands.export(at("dpo"), out=at("export"))
    yield commands.generate(at("pretrain"), prompts=config.prompts, out=at("samples.json"))
    yield commands.report(at("curated"), trainings=tuple(at(training) for training in TRAININGS))
