"""Every `ctllm` command that a flow runs, as a list of arguments: the one place where flows spell the command line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

TRAINERS = frozenset({"pretrain", "sft", "dpo"})
"""Commands that want the accelerator, or all cores, for themselves."""
TRAINER_LIMIT = "trainer"
"""The global concurrency limit that they share on the Prefect server; `ctllm up` creates it with one slot."""


@dataclass(frozen=True)
class Step:
    """One `ctllm` command, the directory or file it writes, and the config that it will read."""

    name: str
    arguments: tuple[str, ...]
    out: str
    config: str | None = None
    settings: tuple[str, ...] = ()
    """What the arguments change in the config, each `key.subkey=value`."""

    @property
    def command(self) -> str:
        """The `ctllm` command, without its arguments."""
        return self.arguments[0]

    @property
    def is_trainer(self) -> bool:
        """Whether only one such step may run at a time."""
        return self.command in TRAINERS


def curate(
    inputs: Iterable[str], *, config: str, out: str, overrides: Iterable[str] = (), workers: int | None = None
) -> Step:
    """Raw sources to curated shards; each of `overrides` is `key.subkey=value`."""
    settings = tuple(overrides)
    arguments = ("curate", config, *_each("--input", inputs), "--out", out, *_each("--set", settings))
    return Step("curate", (*arguments, *_workers(workers)), out, config, settings)


def tokenizer(run: str, *, config: str, out: str) -> Step:
    """Curated shards to a SentencePiece model."""
    return Step("tokenizer", ("tokenizer", "train", run, "--config", config, "--out", out), out, config)


def tokenize(run: str, *, tokenizer: str, out: str, workers: int | None = None) -> Step:
    """Curated shards to token shards."""
    return Step("tokenize", ("tokenize", run, "--tokenizer", tokenizer, "--out", out, *_workers(workers)), out)


def plan(tokens: str, *, config: str, out: str) -> Step:
    """Token shards to the order in which they are trained on."""
    return Step("plan", ("plan", tokens, "--config", config, "--out", out), out, config)


def conversations(
    inputs: Iterable[str], *, kind: str, out: str, benchmarks: Iterable[str] = (), workers: int | None = None
) -> Step:
    """Chat files to checked Parquet; `kind` is conversations or preferences, items of `benchmarks` are removed."""
    paths = (*_each("--input", inputs), "--kind", kind, "--out", out, *_each("--benchmark", benchmarks))
    return Step(kind, ("conversations", *paths, *_workers(workers)), out)


def pretrain(config: str, *, tokens: str, plan: str, out: str, max_seconds: float | None = None) -> Step:
    """A plan to a pretrained checkpoint."""
    return _training("pretrain", config, max_seconds, tokens=tokens, plan=plan, out=out)


def sft(
    config: str,
    *,
    checkpoint: str,
    conversations: str,
    out: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    max_seconds: float | None = None,
) -> Step:
    """A checkpoint and conversations to a tuned checkpoint; `settings` are further keys of the config."""
    paths = {"checkpoint": checkpoint, "conversations": conversations}
    return _training("sft", config, max_seconds, **paths, out=out, **settings)


def dpo(config: str, *, checkpoint: str, preferences: str, out: str, max_seconds: float | None = None) -> Step:
    """A checkpoint and preference pairs to an aligned checkpoint."""
    return _training("dpo", config, max_seconds, checkpoint=checkpoint, preferences=preferences, out=out)


def evaluate(checkpoint: str, *, config: str, out: str, **data: str | None) -> Step:
    """A checkpoint to evaluation.json; `data` names what is measured on: tokens, plan, preferences."""
    settings = tuple(f"{key}={value}" for key, value in data.items() if value)
    arguments = ("evaluate", checkpoint, "--config", config, "--out", out, *_each("--set", settings))
    return Step("evaluate", arguments, out, config, settings)


def export(checkpoint: str, *, out: str) -> Step:
    """A checkpoint to a Hugging Face directory."""
    return Step("export", ("export", checkpoint, "--out", out), out)


def generate(checkpoint: str, *, prompts: Iterable[str], out: str) -> Step:
    """A checkpoint to a file of samples."""
    return Step("generate", ("generate", checkpoint, *_each("--prompt", prompts), "--out", out), out)


def report(run: str, *, trainings: Iterable[str] = ()) -> Step:
    """A curation and the trainings on it to one HTML page."""
    return Step("report", ("report", run, *_each("--training", trainings)), f"{run}/report.html")


def _training(name: str, config: str, max_seconds: float | None, *, out: str, **values: str) -> Step:
    settings = tuple(f"{key}={value}" for key, value in {**values, "out": out}.items())
    return Step(name, (name, config, *_each("--set", settings), *_max_seconds(max_seconds)), out, config, settings)


def _each(flag: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for value in values for part in (flag, value))


def _workers(workers: int | None) -> tuple[str, ...]:
    return ("--workers", str(workers)) if workers is not None else ()


def _max_seconds(max_seconds: float | None) -> tuple[str, ...]:
    return ("--max-seconds", f"{max_seconds:g}") if max_seconds is not None else ()
