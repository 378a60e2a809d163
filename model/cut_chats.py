"""Conversations as segments for training: cut at the context length, labels where the assistant speaks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctllm.model.batches import Segment, collate
from ctllm.model.chat_template import RenderedChat, render_chat
from ctllm.model.losses import IGNORED
from ctllm.model.pretrain import next_token_loss
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.model.tuning_data import Row
from ctllm.schemas.tuning_run import RowCut, RowCutReason


@dataclass(frozen=True)
class CutChat:
    """A conversation as a segment for packing, after the cut at the context length."""

    lane: str
    segment: Segment
    num_labels: int
    tokens_cut: int

    @property
    def is_usable(self) -> bool:
        """Whether something of the assistant's is left."""
        return self.num_labels > 0


def cut_chat(chat: RenderedChat, *, lane: str, context_length: int) -> CutChat:
    """The first `context_length` positions; labels are the assistant's tokens, each predicted from the one before."""
    tokens = np.array(chat.tokens[: context_length + 1], dtype=np.int64)
    is_assistant = np.array(chat.is_assistant[: context_length + 1])
    labels = np.where(is_assistant[1:], tokens[1:], IGNORED)
    num_labels = int(is_assistant[1:].sum())
    return CutChat(lane, (tokens[:-1], labels), num_labels, len(chat.tokens) - len(tokens))


def row_cut(row: Row, chat: CutChat) -> RowCut:
    """The line of `row_cuts.jsonl` for a conversation that was shortened or has nothing to learn from."""
    reason: RowCutReason = "cut" if chat.is_usable else "no_answer_left"
    return RowCut(id=row["id"], source=row["source"], reason=reason, tokens_cut=chat.tokens_cut)


def cut_chats(rows: Sequence[Row], *, tokenizer: Tokenizer, context_length: int) -> list[CutChat]:
    """The rows in the chat format, each cut."""
    rendered = ((row["lane"], render_chat(row["messages"], tokenizer=tokenizer)) for row in rows)
    return [cut_chat(chat, lane=lane, context_length=context_length) for lane, chat in rendered]


def chat_loss(model: Transformer, chat: CutChat, *, padding_id: int) -> float:
    """Sum of the losses of the assistant's tokens in nats, the conversation in a sequence of its own length."""
    device = next(model.parameters()).device
    batch = collate([[chat.segment]], context_length=len(chat.segment[0]), padding_id=padding_id)
    return float(next_token_loss(model, batch.to(device)).loss_sum)
