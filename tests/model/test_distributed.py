"""Several processes compute what one computes, and a run outlives the loss of one of them."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ctllm.model.checkpoint import load_model, weights_digest
from ctllm.model.distributed import check_processes
from ctllm.model.ledger import read_ledger
from ctllm.model.plan import make_plan
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, PlanConfig, PretrainConfig

STEPS = 6

LIVES = """
import json, os, signal, socket, sys
import torch, torch._dynamo  # what FSDP and AdamW import at their first step, here once for all lives
import torch.distributed.tensor
from ctllm.model import pretrain as stage
from ctllm.schemas.errors import CtllmError
from ctllm.schemas.training_config import PretrainConfig

next_token_loss = stage.next_token_loss

def process(config, rank, killed_at, max_seconds):
    losses = 0
    def loss(model, batch):
        nonlocal losses
        losses += 1
        if rank == 1 and losses == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(config.out + "-seen.jsonl", "a") as seen:
            for row in batch.tokens_BT.tolist():
                seen.write(json.dumps(row) + "\\n")
        return next_token_loss(model, batch)
    stage.next_token_loss = loss
    torch.set_num_threads(1)
    os.makedirs(os.path.dirname(config.out), exist_ok=True)
    try:
        stage.pretrain(config, resume=True, max_seconds=max_seconds)
        message = ""
    except CtllmError as error:
        message = str(error)
    with open(config.out + f"-said-{rank}.txt", "a") as said:
        said.write(message + "\\n")
    os._exit(0)

def life(config, size, killed_at=None, max_seconds=None):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        children.append(os.fork())
        if children[-1] == 0:
            os.environ.update(
                RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(size),
                MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
            )
            process(config, rank, killed_at, max_seconds)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

config = PretrainConfig.model_validate_json(sys.argv[1])
for name, changes, lives in json.loads(sys.argv[2]):
    changed = PretrainConfig.model_validate({**config.model_dump(), "out": f"{config.out}/{name}", **changes})
    print(json.dumps([life(changed, **each) for each in lives]))
"""


@dataclass(frozen=True)
class Runs:
    """Training runs of the same plan in several ways, in directories of their names."""

    root: Path
    codes: dict[str, list[list[int]]]
    """Exit codes of the processes of each life."""

    def curve(self, name: str) -> list[tuple[int, str, float, float]]:
        """Step, batch, loss and gradient norm of the run's ledger."""
        return [(line.step, line.batch, line.loss, line.grad_norm) for line in read_ledger(str(self.root / name))]

    def seen(self, name: str) -> list[str]:
        """The sequences that the processes trained on, in any order within a step."""
        return (self.root / f"{name}-seen.jsonl").read_text().splitlines()


@pytest.fixture(scope="module")
def runs(
    tiny: ModelConfig, write_shards_in: Callable[..., TokenShards], tmp_path_factory: pytest.TempPathFactory
) -> Runs:
    """All runs of this module, in one child that imports torch once."""
    root = tmp_path_factory.mktemp("distributed")
    documents = [
        (lane, [(3 * place) % 60 + 2 for place in range(length)]) for lane in ("zh", "en") for length in range(2, 60)
    ]
    shards = write_shards_in(root / "tokens", documents)
    make_plan(shards.directory, config=PlanConfig(context_length=32, held_out_share=0.1), out=str(root / "plan"))
    config = PretrainConfig(
        tokens=shards.directory,
        plan=str(root / "plan"),
        out=str(root / "runs"),
        model=tiny,
        loop=LoopConfig(steps=STEPS, sequences_per_step=4, checkpoint_every_steps=2, device="cpu"),
        optimizer=OptimizerConfig(learning_rate=3e-3),
        sample_prompts=(),
    )
    loop = config.loop.model_dump()
    muon = {**config.optimizer.model_dump(), "kind": "muon"}
    micro = {**loop, "sequences_per_micro_batch": 1}
    lives = [
        ("one", {}, [{"size": 1}]),
        ("two", {"loop": micro}, [{"size": 2}]),
        ("groups", {"loop": {**loop, "shard_processes": 1, "recompute": "selective"}}, [{"size": 2}]),
        ("one_two_one", {}, [{"size": size, "max_seconds": limit} for size, limit in ((1, 0), (2, 0), (1, None))]),
        ("killed", {"loop": micro}, [{"size": 2, "killed_at": 7}, {"size": 2}]),
        ("muon", {"optimizer": muon}, [{"size": 1}]),
        (
            "muon_two_one",
            {"optimizer": muon},
            [{"size": 2, "max_seconds": 0}, {"size": 1, "max_seconds": 0}, {"size": 2}],
        ),
        ("uneven", {"loop": {**loop, "sequences_per_step": 3}}, [{"size": 2}]),
    ]
    command = [sys.executable, "-c", LIVES, config.model_dump_json(), json.dumps(lives)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    codes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    return Runs(root / "runs", dict(zip((name for name, *_ in lives), codes, strict=True)))


def assert_same(runs: Runs, name: str, other: str, *, rel: float = 1e-6, atol: float = 1e-5) -> None:
    """The runs agree in batches exactly, in losses and norms to `rel` and in weights to `atol`."""
    curve, expected = runs.curve(name), runs.curve(other)
    assert [line[:2] for line in curve] == [line[:2] for line in expected]
    assert [line[0] for line in curve] == list(range(STEPS))
    for line, other_line in zip(curve, expected, strict=True):
        assert line[2:] == pytest.approx(other_line[2:], rel=rel)
    model, other_model = (load_model(str(runs.root / each))[0] for each in (name, other))
    for tensor, like in zip(model.state_dict().values(), other_model.state_dict().values(), strict=True):
        assert torch.allclose(tensor, like, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["two", "groups"])
def test_two_processes_compute_what_one_computes(runs: Runs, name: str) -> None:
    """Sharded with micro-batches, or whole copies with recomputation: losses, norms, weights, held-out bits."""
    assert runs.codes[name] == [[0, 0]]
    assert_same(runs, name, "one")
    summary, expected = (json.loads((runs.root / each / "summary.json").read_text()) for each in (name, "one"))
    assert summary["evaluation"] == pytest.approx(expected["evaluation"], rel=1e-5)
    assert summary["label_tokens"] == expected["label_tokens"]


def test_every_sequence_is_seen_once(runs: Runs) -> None:
    """Two processes train on the very sequences that one trains on, and each is counted by one of them."""
    assert Counter(runs.seen("two")) == Counter(runs.seen("one"))
    assert len(runs.seen("one")) == 4 * STEPS


def test_the_number_of_processes_may_change(runs: Runs) -> None:
    """A checkpoint of one process continues in two, and theirs in one."""
    assert_same(runs, "one_two_one", "one")


def test_muon_in_two_processes_and_one(runs: Runs) -> None:
    """Its state goes from two to one and back; it orthogonalises in bfloat16, so the runs agree to that."""
    assert runs.codes["muon_two_one"] == [[0, 0], [0], [0, 0]]
    assert_same(runs, "muon_two_one", "muon", rel=1e-3, atol=1e-3)
    adamw, muon = (load_model(str(runs.root / name))[0] for name in ("one", "muon"))
    assert not torch.allclose(adamw.layers[0].mlp.up_proj.weight, muon.layers[0].mlp.up_proj.weight, rtol=0, atol=1e-3)


def test_a_lost_process_ends_the_others_and_the_run_goes_on(runs: Runs) -> None:
    """The one left says what happened and what to do; resumed, the run gives the bits of an unbroken one."""
    assert runs.codes["killed"] == [[0, -9], [0, 0]]
    first_life, second_life = (runs.root / "killed-said-0.txt").read_text().splitlines()
    assert first_life == (
        "process 0 of 2: another process ended or cannot be reached; torchrun's summary says why; "
        "run the same command again to continue from the newest checkpoint"
    )
    assert second_life == ""
    assert runs.curve("killed") == runs.curve("two")
    digests = [weights_digest(load_model(str(runs.root / name))[0]) for name in ("killed", "two")]
    assert digests[0] == digests[1]


def test_processes_that_do_not_divide_the_step_are_refused(runs: Runs) -> None:
    """Before anything is written, in one sentence with key, value and way out."""
    expected = (
        "loop.sequences_per_step 3 is no multiple of the 2 processes; set it to 4 or start another number of processes"
    )
    assert [(runs.root / f"uneven-said-{rank}.txt").read_text() for rank in range(2)] == [f"{expected}\n"] * 2
    assert not (runs.root / "uneven").exists()
    check_processes(LoopConfig(steps=1, sequences_per_step=4, shard_processes=2), processes=4)
    with pytest.raises(ConfigError, match=re.escape("loop.shard_processes 3 does not divide the 4 processes")):
        check_processes(LoopConfig(steps=1, sequences_per_step=4, shard_processes=3), processes=4)
