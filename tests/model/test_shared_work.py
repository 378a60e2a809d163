"""Work in parts: every part once in its place, in one process or in several, stopped between two."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ctllm.model.shared_work import ALONE, InterruptedWorkError, SharedWork
from ctllm.model.stopping import StopRequest
from ctllm.schemas.progress import ProgressEvent

COUNTS = [0, 1, 3, 4, 5]

PROCESSES = """
import json, os, socket, sys
import torch
from ctllm.model.distributed import open_world
from ctllm.model.shared_work import InterruptedWorkError, SharedWork
from ctllm.model.stopping import StopRequest
from ctllm.schemas.training_config import LoopConfig

def process(rank):
    os.environ.update(RANK=str(rank), WORLD_SIZE="3", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    seen = []
    with open_world(LoopConfig(steps=1, sequences_per_step=3), torch.device("cpu")) as world:
        for count in json.loads(sys.argv[2]):
            done = []
            results = SharedWork(world).each(count, lambda number: done.append(number) or f"part {number}")
            seen.append([results, done])
        stop, done = StopRequest(), []
        def part(number):
            done.append(number)
            if rank == 2:
                stop.signal_name = "SIGTERM"
        try:
            SharedWork(world, stop=stop).each(9, part)
        except InterruptedWorkError:
            seen.append(done)
    with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
        json.dump(seen, file)
    os._exit(0)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
children = [os.fork() or process(rank) for rank in range(3)]
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.parametrize("count", [0, 1, 5])
def test_alone_all_parts_are_done_in_order(count: int) -> None:
    """The plain case is a list of results, shown part by part."""
    told: list[ProgressEvent] = []
    tens = SharedWork(progress=told.append, stage="s").each(count, lambda number: number * 10)
    assert tens == [number * 10 for number in range(count)]
    shown = [(event.stage, event.done, event.total) for event in told]
    assert shown == [("s", done, count) for done in range(count + 1) if count]
    assert ALONE.each(2, str) == ["0", "1"]


def test_three_processes_take_turns(tmp_path: Path) -> None:
    """Real ones: all get all results in order, each did equally many parts, a signal to one stops all at one place."""
    command = [sys.executable, "-c", PROCESSES, str(tmp_path), json.dumps(COUNTS)]
    subprocess.run(command, check=True, timeout=120)
    seen = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(3)]
    for number, count in enumerate(COUNTS):
        assert [each[number][0] for each in seen] == [[f"part {part}" for part in range(count)]] * 3
        turns = -(-count // 3)
        expected = [[min(turn * 3 + rank, count - 1) for turn in range(turns)] for rank in range(3)]
        assert [each[number][1] for each in seen] == expected
    assert [each[-1] for each in seen] == [[0], [1], [2]]


def test_a_signal_stops_before_the_next_part() -> None:
    """The part under way is finished, no other begins."""
    stop, done = StopRequest(), list[int]()

    def part(number: int) -> None:
        done.append(number)
        if number == 1:
            stop.signal_name = "SIGTERM"

    with pytest.raises(InterruptedWorkError):
        SharedWork(stop=stop).each(5, part)
    assert done == [0, 1]
