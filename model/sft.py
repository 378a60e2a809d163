"""Supervised fine-tuning: packed conversations, loss on what the assistant says, held-out loss before and after."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ctllm.model.batches import Batch, collate
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.cut_chats import CutChat, chat_loss, cut_chats, row_cut
from ctllm.model.distributed import open_world
from ctllm.model.embedding_noise import NoisyBatch, noise_of, noisy_embeddings, with_seeds
from ctllm.model.estimate import check_tuning_memory
from ctllm.model.lora import add_adapters
from ctllm.model.losses import LossOutput
from ctllm.model.machine import pick_device
from ctllm.model.perplexity_selection import select_rows
from ctllm.model.plan import pack_best_fit
from ctllm.model.pretrain import next_token_loss
from ctllm.model.shared_work import SharedWork
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
from ctllm.schemas.tuning_run import DATA_REPORT, TuningDataReport


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
    check_tuning_memory(config, model_config, context_length=context_length, sequences_per_row=1)
    weights = weights_digest(model)
    with open_world(config.loop, pick_device(config.loop)) as world:
        told = progress if world.is_first else silent
        selection = Selection(config, work=SharedWork(world, progress=told, stage="selection", unit="conversations"))
        data = read_tuning_data(config.conversations, kind="sft", config=config.data, select=selection)
        train = cut_chats(data.train, tokenizer=tokenizer, context_length=context_length)
        held_out = cut_chats(data.held_out, tokenizer=tokenizer, context_length=context_length)
        packed = PackedChats(train, context_length=context_length, padding_id=tokenizer.end_of_document_id)
        report = _report(packed, train, held_out).model_copy(update={"rows_selected_from": selection.num_rows})
        told(ProgressEvent("sft", 0, config.loop.steps, unit="steps", message=_sentence(report)))
        if config.lora is not None:
            add_adapters(model, config.lora, seed=config.loop.seed)
        trainer = Trainer(
            stage="sft",
            run=config.out,
            model=model,
            loop=config.loop,
            optimizer=config.optimizer,
            schedule=config.schedule,
            batch=partial(sft_batch, packed=packed, config=config),
            loss=partial(sft_loss, alpha=config.neftune_alpha),
            tokenizer=tokenizer.path,
            identity=tuning_identity(
                config, data=data, weights=weights, tokenizer=tokenizer.digest, context_length=context_length
            ),
            packed_length=context_length,
            evaluate=HeldOutLoss(held_out, padding_id=tokenizer.end_of_document_id),
            progress=told,
        )
        summary = trainer.train(resume=resume, max_seconds=max_seconds, world=world)
    if world.is_first:
        write_json(join(config.out, DATA_REPORT), report.model_dump())
        everything = zip([*data.train, *data.held_out], [*train, *held_out], strict=True)
        write_row_cuts(
            config.out, (row_cut(row, chat) for row, chat in everything if chat.tokens_cut or not chat.is_usable)
        )
    return summary


class Selection:
    """Chooses rows by perplexity if the config says so, and remembers out of how many."""

    def __init__(self, config: SftConfig, *, work: SharedWork) -> None:
        self._config, self._work = config, work
        self.num_rows: int | None = None

    def __call__(self, rows: list[Row]) -> list[Row]:
        """The rows to train on."""
        if self._config.select is None:
            return rows
        self.num_rows = len(rows)
        return select_rows(rows, self._config.select, run=self._config.out, work=self._work)


def sft_batch(step: int, *, packed: "PackedChats", config: SftConfig) -> Batch:
    """The batch of a step, with seeds for the noise where there is some."""
    batch = packed.batch(step, per_step=config.loop.sequences_per_step, seed=config.loop.seed)
    return batch if config.neftune_alpha is None else with_seeds(batch, step=step, seed=config.loop.seed)


def sft_loss(model: Transformer, batch: Batch, *, alpha: float | None) -> LossOutput:
    """Loss of the next token, on noisy embeddings where the batch has seeds."""
    if alpha is None or not isinstance(batch, NoisyBatch):
        return next_token_loss(model, batch)
    with noisy_embeddings(model, noise_of(batch, width=model.config.d_model, alpha=alpha)):
        return next_token_loss(model, batch)


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

    def __init__(self, chats: Sequence[CutChat], *, padding_id: int) -> None:
        self._chats = [chat for chat in chats if chat.num_labels]
        self._padding_id = padding_id

    def __call__(self, model: Transformer, work: SharedWork) -> Mapping[str, float]:
        """Each conversation in a sequence of its own, as long as it is."""
        sums, counts = defaultdict[str, float](float), Counter[str]()
        losses = work.each(
            len(self._chats), lambda number: chat_loss(model, self._chats[number], padding_id=self._padding_id)
        )
        for chat, loss in zip(self._chats, losses, strict=True):
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
