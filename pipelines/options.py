"""Where Beam jobs run: the one table of differences between the runners.

direct    this process, worker threads (the kernels release the GIL); never Beam's `DirectRunner`, which looks for Prism
portable  `workers` are processes; the job server comes in `beam_args`, the workers from `portable_services.py`
flink     the same, and `workers` is the parallelism; without a master in `beam_args` one is started here too
dataflow  `workers` is the number at the start; project, region, bucket and image come in `beam_args`
"""

import os
from dataclasses import dataclass, field
from typing import Literal, get_args

from apache_beam.options.pipeline_options import PipelineOptions

from ctllm.schemas.errors import ConfigError

RunnerName = Literal["direct", "portable", "flink", "dataflow"]


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

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: at least one worker is needed")
        if self.runner not in get_args(RunnerName):
            raise ConfigError(f"--runner {self.runner}: unknown; one of {', '.join(get_args(RunnerName))}")
        if self.shuffle not in ("auto", "gbk", "files"):
            raise ConfigError(f"--shuffle {self.shuffle}: unknown; one of auto, gbk, files")

    def shuffle_of(self, payload_bytes: int) -> Literal["gbk", "files"]:
        """How to group that much: by default in files where the local runner would hold too much in memory."""
        if self.shuffle != "auto":
            return self.shuffle
        return "files" if self.runner == "direct" and payload_bytes > _MAX_GROUPED_BYTES else "gbk"

    def pipeline_options(self) -> PipelineOptions:
        """Beam's own options. Raises ConfigError when `beam_args` holds a flag that Beam does not know."""
        flags = [flag.format(workers=self.workers) for flag in _FLAGS[self.runner]]
        options = PipelineOptions([*flags, *self.beam_args])
        known = PipelineOptions([]).get_all_options()  # without a list it would read sys.argv
        unknown = sorted(set(options.get_all_options(retain_unknown_options=True)) - set(known))
        if unknown:
            raise ConfigError(f"--{unknown[0]}: Beam has no such option; see its documentation for {self.runner}")
        return options


_MAX_GROUPED_BYTES = 64 << 20  # chosen: the local runner holds 3 to 7 times what it groups (engines notes, section 0)

_PORTABLE = (
    "--sdk_worker_parallelism={workers}",
    "--experiments=disable_logging_submission_environment",  # a `pip freeze` for each job
)
_FLAGS: dict[RunnerName, tuple[str, ...]] = {
    "direct": ("--runner=FnApiRunner", "--direct_running_mode=multi_threading", "--direct_num_workers={workers}"),
    "portable": ("--runner=PortableRunner", *_PORTABLE),
    "flink": ("--runner=FlinkRunner", "--parallelism={workers}", *_PORTABLE),
    "dataflow": ("--runner=DataflowRunner", "--num_workers={workers}"),
}
