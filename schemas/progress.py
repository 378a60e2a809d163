"""How long work reports where it stands; the command line draws it, a flow forwards it, tests ignore it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ProgressEvent:
    """`done` of `total` units of `stage`; `total` is 0 while unknown, `values` are figures worth showing."""

    stage: str
    done: int
    total: int
    unit: str = "shards"
    values: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


Progress = Callable[[ProgressEvent], None]


def silent(_event: ProgressEvent) -> None:
    """Reports nothing."""
