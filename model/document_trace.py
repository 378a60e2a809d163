"""Which steps and checkpoints saw a document: from its id or URL through the token shards and the plan to the run.

The way back of `step_explanation`. Nothing is recorded for it: that step k trained on sequences k * n to (k + 1) * n of
the plan says it all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ctllm.model.checkpoint import checkpoint_steps
from ctllm.model.ledger import read_ledger
from ctllm.model.trained_plan import TrainedPlan
from ctllm.schemas.errors import InputError
from ctllm.schemas.tokens import TOKEN_INDEX

COLUMNS = ("key", "id", "url", "lane", "source", "offset", "num_tokens")


@dataclass(frozen=True)
class Visit:
    """A piece of the document in the batch of a step."""

    step: int
    sequence: int
    """Its sequence in the batch, from 0."""
    first_token: int
    """Where the piece begins in the document."""
    tokens: int
    number_of_pass: int
    """How often the run had gone through the whole plan before."""


@dataclass(frozen=True)
class DocumentTrace:
    """What a training run made of a document."""

    key: int
    id: str
    url: str | None
    lane: str
    source: str
    tokens: int
    is_held_out: bool
    """Measured on, never trained on."""
    is_planned: bool
    """Whether the plan holds it; a plan leaves out what a lane has beyond its share."""
    done: list[Visit]
    """In the steps that the run has made, in order."""
    to_come: list[Visit]
    """In the steps that it is still to make."""
    checkpoints: list[str]
    """Those there now whose weights have seen it."""


def trace_document(run: str, name: str, *, tokens: str | None = None, plan: str | None = None) -> list[DocumentTrace]:
    """What the pretraining `run` made of the documents whose id, URL or key is `name`; one URL may have several.

    `tokens` and `plan` are needed when the directories that the run was trained on have moved. Raises InputError when
    `run` is no pretraining run or its shards hold no such document, AccountingError when the plan is not its.
    """
    trained = TrainedPlan(run, tokens=tokens, plan=plan)
    found = [
        (shard, row) for shard in range(len(trained.shards.manifest.shards)) for row in _rows(trained, shard, name)
    ]
    if not found:
        raise InputError(
            f"{name}: no document of {trained.shards.directory} has this id, URL or key; `ctllm why CURATION {name}` "
            "says whether a curation removed it"
        )
    steps_done = len(read_ledger(run))
    held_out = trained.plan.held_out["key"].to_pylist()
    checkpoints = checkpoint_steps(run)
    traces = []
    for shard, row in found:
        visits = sorted(_visits(trained, shard, row), key=lambda visit: (visit.step, visit.sequence, visit.first_token))
        done = [visit for visit in visits if visit.step < steps_done]
        traces.append(
            DocumentTrace(
                **{field: row[field] for field in ("key", "id", "url", "lane", "source")},
                tokens=row["num_tokens"],
                is_held_out=row["key"] in held_out,
                is_planned=bool(trained.plan.pieces(shard, row["offset"], row["num_tokens"])),
                done=done,
                to_come=visits[len(done) :],
                checkpoints=[Path(path).name for path, step in checkpoints.items() if done and done[0].step < step],
            )
        )
    return traces


def _rows(trained: TrainedPlan, shard: int, name: str) -> list[dict[str, Any]]:
    """Documents of a shard that are called `name`."""
    index = trained.shards.index(shard, columns=COLUMNS)
    is_called = pc.or_kleene(pc.equal(index["id"], name), pc.equal(index["url"], name))
    if name.isascii() and name.isdigit() and int(name) < 1 << 64:
        is_called = pc.or_kleene(is_called, pc.equal(index["key"], pa.scalar(int(name), TOKEN_INDEX.field("key").type)))
    rows: list[dict[str, Any]] = index.filter(is_called).to_pylist()
    return rows


def _visits(trained: TrainedPlan, shard: int, row: dict[str, Any]) -> Iterator[Visit]:
    num_trained = trained.steps * trained.sequences_per_step
    num_passes = -(-num_trained // trained.plan.manifest.num_sequences)
    for place, (_, offset, length) in trained.plan.pieces(shard, row["offset"], row["num_tokens"]):
        for number_of_pass in range(num_passes):
            number = trained.plan.number_of(place, number_of_pass=number_of_pass)
            step, sequence = divmod(number, trained.sequences_per_step)
            if number < num_trained:
                yield Visit(step, sequence, offset - row["offset"], length, number_of_pass)
