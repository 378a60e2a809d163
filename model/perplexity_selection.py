"""Conversations chosen by how a given model finds them, as CT-LLM sampled COIG-PC: those that surprise it least.

RUN/selection/<key>.parquet holds the loss of every conversation under the selecting model and whether it was kept; the
key is over the conversations, the model's weights and the settings, so a resume reads it. Several processes share the
conversations out, and the first one writes.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.cut_chats import chat_loss, cut_chats
from ctllm.model.shared_work import ALONE, SharedWork
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.model.tuning_data import Row
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join, read_parquet, write_parquet
from ctllm.schemas.progress import ProgressEvent
from ctllm.schemas.tuning_config import PerplexitySelection

SELECTION = pa.schema(
    [
        pa.field("digest", pa.string(), nullable=False, metadata={"meaning": "of the conversation"}),
        pa.field("lane", pa.string(), nullable=False),
        pa.field(
            "loss", pa.float64(), metadata={"unit": "nats per assistant token; perplexity is e to it; null: none"}
        ),
        pa.field("kept", pa.bool_(), nullable=False),
    ]
)


def select_rows(rows: Sequence[Row], config: PerplexitySelection, *, run: str, work: SharedWork = ALONE) -> list[Row]:
    """The rows that `config` keeps, in their order. Raises InputError when none is left."""
    directory = find_checkpoint(config.checkpoint)
    model, _ = load_model(directory)
    described = [
        config.model_dump_json(exclude={"checkpoint"}),
        weights_digest(model),
        *(row["digest"] for row in rows),
    ]
    key = hashlib.sha256(" ".join(described).encode()).hexdigest()[:16]
    path = join(run, "selection", f"{key}.parquet")
    if not work.world.tell(exists(path)):
        losses = _losses(rows, model=model, tokenizer=Tokenizer(directory), work=work)
        if work.world.is_first:
            kept = kept_rows([row["lane"] for row in rows], losses, config=config)
            columns = [[row["digest"] for row in rows], [row["lane"] for row in rows], losses, kept]
            write_parquet(path, pa.table(columns, schema=SELECTION))
        work.world.meet()
    is_kept = read_parquet(path)["kept"].to_pylist()
    chosen = [row for row, kept in zip(rows, is_kept, strict=True) if kept]
    told = f"{len(chosen)} of {len(rows)} kept"
    work.progress(ProgressEvent(work.stage, len(rows), len(rows), unit=work.unit, message=told))
    if not chosen:
        raise InputError(f"{path}: no conversation is kept; raise select.keep_share or lower select.min_perplexity")
    return chosen


def kept_rows(lanes: Sequence[str], losses: Sequence[float | None], *, config: PerplexitySelection) -> list[bool]:
    """Of each lane the share with the lowest losses, ties to the earlier row, among those not below the minimum."""
    kept = np.zeros(len(lanes), dtype=bool)
    floor = math.log(config.min_perplexity) if config.min_perplexity is not None else -math.inf
    for lane in sorted(set(lanes)):
        own = [row for row, each in enumerate(lanes) if each == lane]
        usable = [row for row in own if (loss := losses[row]) is not None and loss >= floor]
        best = sorted(usable, key=lambda row: (losses[row], row))
        kept[best[: math.ceil(config.keep_share * len(own))]] = True
    return kept.tolist()


@torch.no_grad()
def _losses(rows: Sequence[Row], *, model: Transformer, tokenizer: Tokenizer, work: SharedWork) -> list[float | None]:
    chats = cut_chats(rows, tokenizer=tokenizer, context_length=model.config.context_length)
    padding_id = tokenizer.end_of_document_id

    def loss(number: int) -> float | None:
        chat = chats[number]
        return chat_loss(model, chat, padding_id=padding_id) / chat.num_labels if chat.is_usable else None

    return work.each(len(chats), loss)
