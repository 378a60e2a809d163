"""Work in numbered parts, such as the batches of a measurement: shared between processes, shown, stopped between parts.

    losses = work.each(len(batches), lambda number: loss(model, batches[number]))

Each part is done by one process and its result stands at its number everywhere, so n processes give the bits of one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from ctllm.model.distributed import World
from ctllm.model.stopping import StopRequest
from ctllm.schemas.progress import Progress, ProgressEvent, silent

V = TypeVar("V")


class InterruptedWorkError(Exception):
    """A signal came before all parts were done; what was done is lost."""


@dataclass(frozen=True)
class SharedWork:
    """How parts are gone through. By default in one process, silently and to the end."""

    world: World = field(default_factory=lambda: World(torch.device("cpu")))
    stop: StopRequest = field(default_factory=StopRequest)
    progress: Progress = silent
    stage: str = ""
    """Name of the work in its progress."""
    unit: str = "batches"
    """What its progress counts."""

    def each(self, count: int, part: Callable[[int], V]) -> list[V]:
        """Results of `part(0)` to `part(count - 1)`, things that pickle; all processes call this at the same place.

        All do the same number of parts, as a forward pass of a sharded model needs them all: the last part is repeated
        where there is none left. Raises InterruptedWorkError in all when a signal has reached any.
        """
        mine = []
        for first in range(0, count, self.world.size):
            if any(self.world.any([self.stop.signal_name is not None])):
                raise InterruptedWorkError(f"{self.stage}: a signal came before part {first} of {count}")
            self.progress(ProgressEvent(self.stage, first, count, unit=self.unit))
            mine.append(part(min(first + self.world.rank, count - 1)))
        if count:
            self.progress(ProgressEvent(self.stage, count, count, unit=self.unit))
        by_process = self.world.gather(mine)
        return [by_process[number % self.world.size][number // self.world.size] for number in range(count)]


ALONE = SharedWork()
