"""Where Beam jobs run: the one table of differences between the runners.

direct    this process, worker threads (the kernels release the GIL); never Beam's `DirectRunner`, which looks for Prism
processes the same runner; `workers` are processes that `portable_services.py` starts: they share no GIL, for many cores
portable  `workers` are processes; the job server comes in `beam_args`, the workers from `portable_services.py`
flink     the same, and `workers` is the parallelism; without a master in `beam_args` one is started here too
dataflow  `workers` is the number at the start; project, region, bucket and image come in `beam_args`
"""

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from apache_beam.options.pipeline_options import PipelineOptions

from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import join, packaged

_View = TypeVar("_View", bound=PipelineOptions)
RunnerName = Literal["direct", "processes", "portable", "flink", "dataflow"]
LOCAL_RUNNERS = ("direct", "processes")
"""Beam's own local runner, which holds in memory what it groups."""


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class RunnerOptions:
    """A runner, its number of workers, and whatever else Beam shall be told (`--name=value`, these win)."""

    runner: RunnerName = "direct"
    workers: int = field(default_factory=_usable_cores)
    beam_args: tuple[str, ...] = ()
    shuffle: Literal["auto", "gbk", "files"] = "auto"
    """How dedup groups what it compares: in the runner's GroupByKey or in files, with the same result."""
    max_pairs_in_memory: int = 20_000_000
    """Of more verified pairs survivors are chosen component by component, with the same result: 0.4 KB each, 8 GB."""

    worker_pool: Callable[[], str] | None = None
    """Gives the address of the pool that `processes` takes its workers from, and waits until it is there."""

    record: str = ""
    """File that holds the jobs under way on a service, so that a later process finds them (`dataflow.py`)."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: at least one worker is needed")
        if self.runner not in get_args(RunnerName):
            raise ConfigError(f"--runner {self.runner}: unknown; one of {', '.join(get_args(RunnerName))}")
        if self.shuffle not in ("auto", "gbk", "files"):
            raise ConfigError(f"--shuffle {self.shuffle}: unknown; one of auto, gbk, files")

    def recorded_in(self, directory: str) -> "RunnerOptions":
        """The same, with jobs on a service noted in `directory`."""
        return replace(self, record=join(directory, "jobs.json"))

    def shuffle_of(self, payload_bytes: int) -> Literal["gbk", "files"]:
        """How to group that much: by default in files where the local runner would hold too much in memory."""
        if self.shuffle != "auto":
            return self.shuffle
        return "files" if self.runner in LOCAL_RUNNERS and payload_bytes > _MAX_GROUPED_BYTES else "gbk"

    def pipeline_options(self) -> PipelineOptions:
        """Beam's own options. Raises ConfigError when `beam_args` holds a flag that Beam does not know."""
        flags = [flag.format(workers=self.workers) for flag in _FLAGS[self.runner]]
        options = _ViewedOnce([*flags, *self.beam_args])
        unknown = sorted(set(options.get_all_options(retain_unknown_options=True)) - _known_options())
        if unknown:
            raise ConfigError(f"--{unknown[0]}: Beam has no such option; see its documentation for {self.runner}")
        return options


@functools.cache
def _known_options() -> frozenset[str]:
    """The names of all options of Beam."""
    return frozenset(PipelineOptions([]).get_all_options())  # without a list it would read sys.argv


class _ViewedOnce(PipelineOptions):
    """Beam's options, each view of which is made once; Beam asks for 170 a job, and makes an argument parser for each.

    That was a quarter of the CPU time of a small job (2026-11-26). All views share their values, so none goes stale.
    """

    def view_as(self, cls: type[_View]) -> _View:
        """The view, kept beside the options: their own attributes are what the flags say."""
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view: _View = views[cls]
        return view


def read_flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """`arguments` with every `@FILE` replaced by the flags in it, one a line; lines that begin with # are comments.

    Raises ConfigError for a file that is not there.
    """
    flags: list[str] = []
    for argument in arguments:
        if not argument.startswith("@"):
            flags.append(argument)
            continue
        path = Path(packaged(argument[1:]))
        if not path.is_file():
            raise ConfigError(f"{argument}: no such file; name one with a Beam option on each line")
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        flags += [line for line in lines if line and not line.startswith("#")]
    return tuple(flags)


_MAX_GROUPED_BYTES = 64 << 20  # chosen: the local runner holds 3 to 7 times what it groups (engines notes, section 0)

NOTHING_TO_STAGE = (
    "--experiments=disable_logging_submission_environment",  # a `pip freeze` for each job
    "--no_save_main_session",  # of `__main__`, where nothing is that a step needs
)
"""Workers have the package; what a submitter would send besides takes time, and workers would install it."""

_PORTABLE = ("--sdk_worker_parallelism={workers}", *NOTHING_TO_STAGE)
_FLAGS: dict[RunnerName, tuple[str, ...]] = {
    "direct": ("--runner=FnApiRunner", "--direct_running_mode=multi_threading", "--direct_num_workers={workers}"),
    "processes": ("--runner=FnApiRunner", "--direct_num_workers={workers}"),
    "portable": ("--runner=PortableRunner", *_PORTABLE),
    "flink": ("--runner=FlinkRunner", "--parallelism={workers}", *_PORTABLE),
    "dataflow": ("--runner=DataflowRunner", "--num_workers={workers}", *NOTHING_TO_STAGE),
}
