"""Supervised fine-tuning: packed conversations, loss on what the assistant says, held-out loss before and after."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctllm.model.batches import Batch, Segment, collate
from ctllm.model.chat_template import RenderedChat, render_chat
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.losses import IGNORED
from ctllm.model.plan import pack_best_fit
from ctllm.model.pretrain import next_token_loss
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.trainer import Trainer
from ctllm.model.transformer import Transformer
from ctllm.model.tuning_data import (
    Row,
    read_tuning_data,
    rows_of_step,
    tuning_context_length,
    tuning_identity,
    write_row_cuts,
)
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import join, write_json
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.training_run import TrainingSummary
from ctllm.schemas.tuning_config import SftConfig
from ctllm.schemas.tuning_run import DATA_REPORT, RowCut, RowCutReason, TuningDataReport


def sft(
    config: SftConfig, *, resume: bool = False, max_seconds: float | None = None, progress: Progress = silent
) -> TrainingSummary:
    """Trains the checkpoint on conversations in `config.out`; see `Trainer.train` for stops and errors.

    Also writes RUN/data.json: rows, truncation, padding. The summary's `held_out_loss…` is in nats per assistant token.
    """
    checkpoint = find_checkpoint(config.checkpoint)
    model, model_config = load_model(checkpoint)
    tokenizer = Tokenizer(checkpoint)
    context_length = tuning_context_length(config.context_length, model=model_config)
    data = read_tuning_data(config.conversations, kind="sft", config=config.data)
    train = _cut_all(data.train, tokenizer=tokenizer, context_length=context_length)
    held_out = _cut_all(data.held_out, tokenizer=tokenizer, context_length=context_length)
    packed = PackedChats(train, context_length=context_length, padding_id=tokenizer.end_of_document_id)
    report = _report(packed, train, held_out)
    progress(ProgressEvent("sft", 0, config.loop.steps, unit="steps", message=_sentence(report)))
    trainer = Trainer(
        stage="sft",
        run=config.out,
        model=model,
        loop=config.loop,
        optimizer=config.optimizer,
        schedule=config.schedule,
        batch=lambda step: packed.batch(step, per_step=config.loop.sequences_per_step, seed=config.loop.seed),
        loss=next_token_loss,
        tokenizer=tokenizer.path,
        identity=tuning_identity(
            config, data=data, weights=weights_digest(model), tokenizer=tokenizer.digest, context_length=context_length
        ),
        packed_length=context_length,
        evaluate=HeldOutLoss(held_out, context_length=context_length, padding_id=tokenizer.end_of_document_id),
        progress=progress,
    )
    summary = trainer.train(resume=resume, max_seconds=max_seconds)
    write_json(join(config.out, DATA_REPORT), report.model_dump())
    everything = zip([*data.train, *data.held_out], [*train, *held_out], strict=True)
    write_row_cuts(
        config.out, (row_cut(row, chat) for row, chat in everything if chat.tokens_cut or not chat.is_usable)
    )
    return summary


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


def _cut_all(rows: Sequence[Row], *, tokenizer: Tokenizer, context_length: int) -> list[CutChat]:
    rendered = ((row["lane"], render_chat(row["messages"], tokenizer=tokenizer)) for row in rows)
    return [cut_chat(chat, lane=lane, context_length=context_length) for lane, chat in rendered]


class PackedChats:
    """Conversations packed best-fit into sequences. Those without a label after the cut are left out."""

    def __init__(self, chats: Sequence[CutChat], *, context_length: int, padding_id: int) -> None:
        """Raises InputError when none has a label."""
        segments = [chat.segment for chat in chats if chat.num_labels]
        if not segments:
            raise InputError(
                f"no conversation reaches its assistant within {context_length} tokens; raise context_length"
            )
        self.context_length, self.padding_id = context_length, padding_id
        lengths = np.array([len(inputs) for inputs, _ in segments])
        self.sequences = [[segments[i] for i in group] for group in pack_best_fit(lengths, capacity=context_length)]
        self.padding_share = 1 - int(lengths.sum()) / (len(self.sequences) * context_length)

    def batch(self, step: int, *, per_step: int, seed: int) -> Batch:
        """The sequences of optimizer step `step`: a pure function of its arguments."""
        numbers = rows_of_step(step, num_rows=len(self.sequences), rows_per_step=per_step, seed=seed)
        rows = [self.sequences[number] for number in numbers]
        return collate(rows, context_length=self.context_length, padding_id=self.padding_id)


class HeldOutLoss:
    """Mean loss per assistant token over held-out conversations, per lane and over all; {} when there are none."""

    def __init__(self, chats: Sequence[CutChat], *, context_length: int, padding_id: int) -> None:
        self._chats = [chat for chat in chats if chat.num_labels]
        self._context_length, self._padding_id = context_length, padding_id

    def __call__(self, model: Transformer) -> Mapping[str, float]:
        """Each conversation in a sequence of its own, as long as it is."""
        device = next(model.parameters()).device
        sums, counts = defaultdict[str, float](float), Counter[str]()
        for chat in self._chats:
            batch = collate([[chat.segment]], context_length=len(chat.segment[0]), padding_id=self._padding_id)
            loss = float(next_token_loss(model, batch.to(device)).loss_sum)
            for name in ("held_out_loss", f"held_out_loss_{chat.lane}"):
                sums[name] += loss
                counts[name] += chat.num_labels
        return {name: sums[name] / counts[name] for name in sorted(sums)}


def _report(packed: PackedChats, train: Sequence[CutChat], held_out: Sequence[CutChat]) -> TuningDataReport:
    everything = [*train, *held_out]
    trained = [chat for chat in train if chat.num_labels]
    return TuningDataReport(
        rows_trained=len(trained),
        rows_held_out=sum(chat.num_labels > 0 for chat in held_out),
        rows_by_lane=dict(sorted(Counter(chat.lane for chat in trained).items())),
        rows_truncated=sum(chat.tokens_cut > 0 and chat.is_usable for chat in everything),
        tokens_cut=sum(chat.tokens_cut for chat in everything),
        rows_dropped=sum(chat.num_labels == 0 for chat in everything),
        label_tokens=sum(chat.num_labels for chat in trained),
        padding_share=round(packed.padding_share, 6),
    )


def _sentence(report: TuningDataReport) -> str:
    return (
        f"{report.rows_trained} conversations, {report.rows_held_out} held out; "
        f"{report.rows_truncated} cut at the context length, {report.rows_dropped} dropped"
    )
