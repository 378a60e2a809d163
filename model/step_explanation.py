"""Which documents an optimizer step was trained on: from the run's plan and ledger back to the pages.

Batch k follows from the plan and k, so nothing is recorded during training but a digest of each batch; here the batch
is made again, its digest is compared with the ledger's, and every segment is traced to its document.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from ctllm.model.batches import PlanBatches
from ctllm.model.ledger import read_ledger
from ctllm.model.token_shards import TokenShards
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.trained_plan import TrainedPlan
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.training_run import LedgerLine

EXCERPT_TOKENS = 40  # chosen: a line or two of Chinese


@dataclass(frozen=True)
class StepDocument:
    """A document, or a piece of one, in the batch of a step."""

    sequence: int
    """Its sequence in the batch, from 0."""
    key: int
    id: str
    url: str | None
    lane: str
    source: str
    first_token: int
    """Where the piece begins in its document; 0 unless the document is longer than a sequence."""
    tokens: int
    """Of the piece."""
    document_tokens: int
    excerpt: str
    """How the piece begins."""


@dataclass(frozen=True)
class StepExplanation:
    """The batch of one step, and what the ledger says of it."""

    step: int
    sequences: int
    label_tokens: int
    batch: str
    """Digest of the batch, made again."""
    is_as_recorded: bool | None
    """Whether the ledger has the same digest; None when the run has not come to this step."""
    loss: float | None
    learning_rate: float | None
    documents: list[StepDocument]


def explain_step(
    run: str, step: int, *, tokens: str | None = None, plan: str | None = None, excerpt_tokens: int = EXCERPT_TOKENS
) -> StepExplanation:
    """The documents in the batch of optimizer step `step` (from 0) of a pretraining run, in the order of the batch.

    `tokens` and `plan` are needed when the directories that the run was trained on have moved. Raises InputError when
    `run` is no pretraining run, ConfigError for a step that it does not have, AccountingError when the plan is not its.
    """
    trained = TrainedPlan(run, tokens=tokens, plan=plan)
    if not 0 <= step < trained.steps:
        raise ConfigError(f"step {step}: {run} has steps 0 to {trained.steps - 1}")
    num_sequences, made = trained.sequences_per_step, trained.plan
    batch = PlanBatches(made, trained.shards, sequences_per_step=num_sequences).batch(step).digest()
    documents = _Documents(trained.shards, excerpt_tokens=excerpt_tokens)
    numbers = range(step * num_sequences, (step + 1) * num_sequences)
    found = [
        documents.at(segment, sequence=place)
        for place, number in enumerate(numbers)
        for segment in made.sequence(number).tolist()
    ]
    line = _ledger_line(run, step)
    return StepExplanation(
        step=step,
        sequences=num_sequences,
        label_tokens=sum(each.tokens for each in found),
        batch=batch,
        is_as_recorded=None if line is None else line.batch == batch,
        loss=None if line is None else line.loss,
        learning_rate=None if line is None else line.learning_rate,
        documents=found,
    )


class _Documents:
    """Segments of the plan as documents of the shards; indexes are read when first needed."""

    def __init__(self, shards: TokenShards, *, excerpt_tokens: int) -> None:
        self._shards, self._excerpt_tokens = shards, excerpt_tokens
        self._tokenizer = Tokenizer(shards.tokenizer)
        self._index = cache(self._read_index)

    def at(self, segment: list[int], *, sequence: int) -> StepDocument:
        """The document of (shard, offset, tokens)."""
        shard, offset, length = segment
        index, offsets = self._index(shard)
        place = int(np.searchsorted(offsets, offset, side="right")) - 1
        row = index.slice(place, 1).to_pylist()[0]
        begin = self._shards.tokens(shard, offset, min(length, self._excerpt_tokens)).tolist()
        return StepDocument(
            sequence=sequence,
            key=row["key"],
            id=row["id"],
            url=row["url"],
            lane=row["lane"],
            source=row["source"],
            first_token=offset - row["offset"],
            tokens=length,
            document_tokens=row["num_tokens"],
            excerpt=self._tokenizer.decode([each for each in begin if each != self._shards.end_of_document_id]),
        )

    def _read_index(self, shard: int) -> tuple[pa.Table, np.ndarray]:
        index = self._shards.index(shard)
        return index, index["offset"].to_numpy()


def _ledger_line(run: str, step: int) -> LedgerLine | None:
    lines = read_ledger(run)
    return lines[step] if step < len(lines) else None
