"""A Hugging Face Llama (or Qwen3 without biases) as our checkpoint: the way back from `export_hf`, and from others.

config.json may speak as transformers 4 (`rope_theta`) or 5 (`rope_parameters`); weights are one `model.safetensors` or
shards with an index. What our model cannot compute - biases, scaled rotary positions, other activations - is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ctllm.model.checkpoint import CHECKPOINTS, save_checkpoint, weights_digest
from ctllm.model.optimizer import EMBEDDINGS, build_optimizer
from ctllm.model.run_identity import claim_run, identity_digest
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer, empty_transformer
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import exists, join, read_json
from ctllm.schemas.tokens import TOKENIZER
from ctllm.schemas.training_config import ModelConfig, OptimizerConfig
from ctllm.schemas.training_run import TrainingState

QK_NORM = {"llama": False, "qwen3": True}
"""Model types that are read; whether they norm queries and keys."""
HF_DEFAULT_THETA = 10_000.0  # LlamaConfig of transformers 4 and 5, used when config.json names none


def is_hf_model(directory: str) -> bool:
    """Whether config.json is one of Hugging Face's: our checkpoints' config has no model_type."""
    path = Path(directory) / "config.json"
    return path.is_file() and "model_type" in read_json(str(path))


def import_hf(directory: str, out: str, *, tokenizer: str | None = None) -> str:
    """Writes the model in `directory` as a checkpoint in the run directory `out`; returns the checkpoint's path.

    The tokenizer is the directory's tokenizer.model, or that of the path `tokenizer`. Where it lacks symbols of ours
    (end of document, chat) and the model has no rows for them, rows are added. Raises InputError when something is
    missing or does not fit, OutputError when `out` holds a run.
    """
    if exists(join(out, CHECKPOINTS)):
        raise OutputError(f"{out}: holds a training run already; choose another --out")
    if not is_hf_model(directory):
        raise InputError(f"{directory}: no config.json with a model_type; give the directory of a Hugging Face model")
    if tokenizer is None and not (Path(directory) / TOKENIZER).is_file():
        raise InputError(
            f"{directory}: no {TOKENIZER}, and a checkpoint cannot read or write without; pass --tokenizer with the "
            "SentencePiece model that this model was trained with"
        )
    vocabulary = Tokenizer(tokenizer or directory)
    model = read_hf(directory)
    if vocabulary.num_pieces > model.config.vocab_size:
        raise InputError(
            f"{vocabulary.path}: {vocabulary.num_pieces} pieces, but the model in {directory} has "
            f"{model.config.vocab_size} rows; it was trained with another tokenizer"
        )
    model = with_rows(model, max(model.config.vocab_size, vocabulary.vocab_size))
    identity = {"stage": "import", "weights": weights_digest(model), "tokenizer": vocabulary.digest}
    claim_run(out, identity, resume=False)
    return save_checkpoint(
        out,
        model=model,
        optimizer=build_optimizer(model, OptimizerConfig()),
        state=TrainingState(step=0, label_tokens=0, run_digest=identity_digest(identity), ledger_bytes=0),
        tokenizer=vocabulary.path,
        keep=1,
    )


def with_rows(model: Transformer, vocab_size: int) -> Transformer:
    """The model with embedding and head lengthened to `vocab_size` rows; the new ones are the mean of the old.

    With the mean, a symbol never seen is no likelier than the vocabulary's average and logits of old tokens stay.
    """
    num_new = vocab_size - model.config.vocab_size
    if not num_new:
        return model
    longer = empty_transformer(model.config.model_copy(update={"vocab_size": vocab_size}))
    tensors = dict(model.state_dict())
    for name in EMBEDDINGS:
        if name in tensors:
            mean_1D = tensors[name].mean(0, keepdim=True)
            tensors[name] = torch.cat([tensors[name], mean_1D.expand(num_new, -1)])
    longer.load_state_dict(tensors)
    return longer.eval()


def read_hf(directory: str) -> Transformer:
    """The model in `directory`, float32, in evaluation mode. Raises InputError naming what does not fit."""
    config = hf_config(read_json(str(Path(directory) / "config.json")), origin=directory)
    model = empty_transformer(config)
    tensors = {_our_name(name): tensor.float() for name, tensor in _read_tensors(directory).items()}
    if config.tied_embeddings:
        tensors.pop("lm_head.weight", None)  # some exporters write the tied head a second time
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        name = sorted(set(wanted.items()) ^ set(found.items()))[0][0]
        raise InputError(
            f"{directory}: weight {name} is {found.get(name, 'missing')}, config.json asks for "
            f"{wanted.get(name, 'none of that name')}; the files do not belong together"
        )
    model.load_state_dict(tensors)
    return model.eval()


def hf_config(values: Mapping[str, Any], *, origin: str) -> ModelConfig:
    """Our shape of a config.json. Raises InputError when the model computes something ours does not."""
    model_type = values.get("model_type")
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    head_dim = values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"]
    unsupported = {
        "model_type": model_type not in QK_NORM,
        "hidden_act": values.get("hidden_act", "silu") != "silu",
        "attention_bias": bool(values.get("attention_bias")),
        "mlp_bias": bool(values.get("mlp_bias")),
        "rope_scaling": rope.get("rope_type", rope.get("type", "default")) != "default",
        "head_dim": head_dim * values["num_attention_heads"] != values["hidden_size"],
        "use_sliding_window": bool(values.get("use_sliding_window")),
    }
    for key, is_unsupported in unsupported.items():
        if is_unsupported:
            raise InputError(f"{origin}/config.json: {key} {values.get(key)!r} is not a plain Llama's; not supported")
    theta = rope.get("rope_theta") or values.get("rope_theta") or HF_DEFAULT_THETA
    return ModelConfig(
        name="imported",
        vocab_size=values["vocab_size"],
        d_model=values["hidden_size"],
        num_layers=values["num_hidden_layers"],
        num_heads=values["num_attention_heads"],
        num_kv_heads=values.get("num_key_value_heads"),
        d_ffn=values["intermediate_size"],
        context_length=values["max_position_embeddings"],
        tied_embeddings=bool(values.get("tie_word_embeddings", False)),
        qk_norm=QK_NORM[str(model_type)],
        rope_theta=theta,
        norm_epsilon=values.get("rms_norm_eps", 1e-6),
        init_std=values.get("initializer_range", 0.02),
    )


def _our_name(name: str) -> str:
    return name.removeprefix("model.")


def _read_tensors(directory: str) -> dict[str, Tensor]:
    """All weights; `rotary_emb.inv_freq` of old exports is no weight and left out."""
    root = Path(directory)
    if (root / "model.safetensors").is_file():
        names = ["model.safetensors"]
    elif (root / "model.safetensors.index.json").is_file():
        names = sorted(set(read_json(str(root / "model.safetensors.index.json"))["weight_map"].values()))
    else:
        raise InputError(f"{directory}: no model.safetensors and no index of shards; convert the weights first")
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise InputError(f"{directory}: {missing[0]} is named by the index but not there; download it again")
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= load_file(root / name)
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("rotary_emb.inv_freq")}
