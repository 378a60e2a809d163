"""Pretraining: the plan's batches, next-token loss, bits per byte of the held-out documents along the way."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ctllm.model.batches import Batch, PlanBatches
from ctllm.model.block_execution import is_compiled
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.distributed import check_processes, num_processes
from ctllm.model.estimate import available_memory, check_memory
from ctllm.model.evaluation.bits_per_byte import bits_per_byte, held_out_documents
from ctllm.model.losses import IGNORED, LossOutput, cross_entropy_sum
from ctllm.model.machine import pick_device
from ctllm.model.plan import Plan
from ctllm.model.samples import Sampler
from ctllm.model.shared_work import SharedWork
from ctllm.model.token_shards import TokenShards
from ctllm.model.trainer import Trainer
from ctllm.model.transformer import Transformer, empty_transformer, new_transformer
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import exists, file_digest, join, read_json, write_json
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.tokens import TOKENIZER
from ctllm.schemas.training_config import PretrainConfig
from ctllm.schemas.training_run import DATA, IDENTITY, TrainingData, TrainingSummary

FREE_KEYS = ("name", "context_length", "init_std")
"""Of a model's config: what may differ from that of the checkpoint that a run starts from."""

NOT_DECIDING = {"tokens", "plan", "out", "checkpoint", "sample_prompts", "sample_tokens"}
"""Keys of the config that are no part of a run's identity: paths (what they lead to is), and what is only looked at."""


def pretrain(
    config: PretrainConfig, *, resume: bool = False, max_seconds: float | None = None, progress: Progress = silent
) -> TrainingSummary:
    """Trains a new model, or that of `config.checkpoint`, on a plan in the run directory `config.out`.

    See `Trainer.train` for stops and errors. Raises ConfigError when the model is too small for the tokenizer, the
    samples or the plan's sequences, when it is not the checkpoint's, or when a step is too large for the device.
    """
    shards = TokenShards(config.tokens)
    plan = Plan(config.plan, shards=shards)
    _check_fit(config, plan, shards)
    check_processes(config.loop, processes=num_processes())
    device = pick_device(config.loop)
    check_memory(
        config.model,
        config.loop,
        available=available_memory(device),
        optimizer=config.optimizer,
        gpus=num_processes(),
        compiled=is_compiled(config.loop, device=device),
    )
    model, weights = _first_model(config, tokenizer=shards.manifest.tokenizer_digest)
    _note_data(config, plan)
    sampler = Sampler(
        shards.tokenizer,
        config.sample_prompts,
        num_tokens=config.sample_tokens,
        context_length=config.model.context_length,
    )
    batches = PlanBatches(plan, shards, sequences_per_step=config.loop.sequences_per_step)
    held_out = held_out_documents(plan, shards)

    def batch(step: int) -> Batch:
        whole = batches.batch(step)
        return whole if config.loss_after_document else without_first_labels(whole, shards.end_of_document_id)

    def evaluate(model: Transformer, work: SharedWork) -> Mapping[str, float]:
        return {f"bits_per_byte_{lane}": each.value for lane, each in bits_per_byte(model, held_out, work=work).items()}

    trainer = Trainer(
        stage="pretrain",
        run=config.out,
        model=model,
        loop=config.loop,
        optimizer=config.optimizer,
        schedule=config.schedule,
        batch=batch,
        loss=next_token_loss if config.document_masks else next_token_loss_unmasked,
        tokenizer=shards.tokenizer,
        identity={
            "stage": "pretrain",
            "plan": plan.manifest.plan_digest,
            "tokenizer": shards.manifest.tokenizer_digest,
            "weights": weights,
            **config.model_dump(mode="json", exclude=NOT_DECIDING),
        },
        packed_length=plan.context_length if config.document_masks else None,
        evaluate=evaluate,
        sample=sampler,
        progress=progress,
    )
    return trainer.train(resume=resume, max_seconds=max_seconds)


def next_token_loss(model: Transformer, batch: Batch) -> LossOutput:
    """Sum over labels; packed documents do not see each other and count their positions from 0."""
    hidden_BTD = model.hidden_states(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)
    return LossOutput(*cross_entropy_sum(hidden_BTD, model.head_weight_VD, batch.labels_BT, compiled=model.is_compiled))


def next_token_loss_unmasked(model: Transformer, batch: Batch) -> LossOutput:
    """Sum over labels; a document sees those packed before it, as CT-LLM's own script trained."""
    hidden_BTD = model.hidden_states(batch.tokens_BT)
    return LossOutput(*cross_entropy_sum(hidden_BTD, model.head_weight_VD, batch.labels_BT, compiled=model.is_compiled))


def _first_model(config: PretrainConfig, *, tokenizer: str) -> tuple[Transformer, str | None]:
    """The model before the first step, and the digest of its weights where a checkpoint gives them.

    The context length may differ from the checkpoint's: no weight depends on it.
    """
    if config.checkpoint is None:
        return new_transformer(config.model, seed=config.loop.seed), None
    directory = find_checkpoint(config.checkpoint)
    if file_digest(join(directory, TOKENIZER)) != tokenizer:
        raise ConfigError(
            f"checkpoint {directory}: its tokenizer is not that of {config.tokens}; run `ctllm tokenize` with it"
        )
    start, found = load_model(directory)
    same = {name: getattr(found, name) for name in FREE_KEYS}
    asked = config.model.model_copy(update={**same, "num_kv_heads": config.model.kv_heads})
    found = found.model_copy(update={"num_kv_heads": found.kv_heads})
    changed = [name for name in type(found).model_fields if getattr(asked, name) != getattr(found, name)]
    if changed:
        shown = ", ".join(f"{name} is {getattr(found, name)}, not {getattr(asked, name)}" for name in changed)
        raise ConfigError(f"checkpoint {directory}: another model than the config's: {shown}; correct `model`")
    model = empty_transformer(config.model)
    model.load_state_dict(start.state_dict())
    return model, weights_digest(model)


def _note_data(config: PretrainConfig, plan: Plan) -> None:
    """Writes `data.json` for `ctllm explain-step`, unless the directory belongs to a run on another plan."""
    path = join(config.out, IDENTITY)
    if not exists(path) or read_json(path).get("plan") == plan.manifest.plan_digest:
        places = TrainingData(tokens=str(Path(config.tokens).resolve()), plan=str(Path(config.plan).resolve()))
        write_json(join(config.out, DATA), places.model_dump(mode="json"))


def without_first_labels(batch: Batch, end_of_document_id: int) -> Batch:
    """No loss where the input is the end of a document, as Megatron's --eod-mask-loss: nothing predicts a beginning."""
    return replace(batch, labels_BT=batch.labels_BT.masked_fill(batch.tokens_BT == end_of_document_id, IGNORED))


def _check_fit(config: PretrainConfig, plan: Plan, shards: TokenShards) -> None:
    vocab_size, model = shards.manifest.vocab_size, config.model
    if model.vocab_size < vocab_size:
        raise ConfigError(
            f"model.vocab_size {model.vocab_size} is below the tokenizer's {vocab_size}; set it to that or more"
        )
    if model.context_length < plan.context_length:
        way_out = "raise model.context_length or make a plan with a shorter one"
        raise ConfigError(
            f"model.context_length {model.context_length} is below the plan's {plan.context_length}; {way_out}"
        )
