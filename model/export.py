"""Export as a Hugging Face model that transformers, vLLM and llama.cpp read; logits and token ids stay equal.

It is a Llama; with normed queries and keys it is a Qwen3, which is Llama with just these.

model.safetensors        weights under the names of LlamaForCausalLM; no lm_head when it is tied
config.json              keys of transformers 4 and of 5: each falls back to its own defaults without a word
generation_config.json   what ends an answer
tokenizer.json           for transformers (tokenizer_json.py); tokenizer_config.json with the chat template
tokenizer.model          SentencePiece, for llama.cpp and everything else
README.md                model card; data_card.html beside it, where one is given
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor

from ctllm.model.chat_template import CHAT_TEMPLATE, stop_ids
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.model_card import model_card
from ctllm.model.template_check import read_template
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.tokenizer_json import UNKNOWN_ID, added_tokens, tokenizer_json
from ctllm.model.transformer import Transformer, num_parameters
from ctllm.schemas.config import Config
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import join, read_json, remove_tree, walk_files, write_json, written_whole
from ctllm.schemas.manifest import SUCCESS, finish_stage, finished_stage
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tokens import END_OF_DOCUMENT, TOKENIZER
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.tuning_run import EvaluationResult

CONFIG = "config.json"
FILES = (
    "model.safetensors",
    CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    TOKENIZER,
    "README.md",
    "data_card.html",
    "data_card.md",
)
DType = Literal["float32", "bfloat16", "float16"]


def export_hf(
    checkpoint: str,
    out: str,
    *,
    dtype: DType = "float32",
    evaluation: str | None = None,
    name: str | None = None,
    licence: str | None = None,
    data_card: str | None = None,
    chat_template: str | None = None,
    progress: Progress = silent,
) -> str:
    """Writes the checkpoint (or a run's newest one) to the directory `out`, returned; an equal export is kept.

    float32 gives bit-equal logits, 16 bits round the weights. `evaluation` is the path of an evaluation.json whose
    figures go into the card, `licence` that of the weights, `data_card` a URL or a file, which is put beside,
    `chat_template` a file to put in the place of ours. Raises InputError without a checkpoint or data card, ConfigError
    for a template that speaks another format, OutputError when `out` holds something else.
    """
    started = time.monotonic()
    template = read_template(chat_template) if chat_template else CHAT_TEMPLATE
    directory = find_checkpoint(checkpoint)
    model, config = load_model(directory)
    tokenizer = Tokenizer(directory)
    weights = weights_digest(model)
    result = EvaluationResult.model_validate(read_json(evaluation)) if evaluation else None
    data = _DataCard.of(data_card)
    card = model_card(
        config,
        tokenizer=tokenizer,
        weights=weights,
        dtype=dtype,
        evaluation=result,
        name=name,
        licence=licence,
        data_card=data.address,
    )
    fingerprint = _Fingerprint(
        weights=weights,
        tokenizer=tokenizer.digest,
        dtype=dtype,
        card=card,
        data_card=data.digest,
        chat_template=template,
    ).digest()
    if finished_stage(out, fingerprint=fingerprint):
        return out
    _make_free(out)
    progress(ProgressEvent("export", 0, 1, unit="models"))
    with written_whole(join(out, "model.safetensors")) as file:
        file.write(save(export_weights(model, dtype=dtype), metadata={"format": "pt"}))
    stops = sorted(stop_ids(tokenizer))
    write_json(join(out, "generation_config.json"), {**_special_ids(tokenizer), "eos_token_id": stops})
    write_json(join(out, "tokenizer.json"), tokenizer_json(tokenizer))
    write_json(join(out, "tokenizer_config.json"), _tokenizer_config(config, tokenizer, template))
    _write_bytes(join(out, TOKENIZER), Path(tokenizer.path).read_bytes())
    _write_bytes(join(out, "README.md"), card.encode())
    if data.content is not None and data.address is not None:
        _write_bytes(join(out, data.address), data.content)
    write_json(join(out, CONFIG), export_config(config, tokenizer=tokenizer, dtype=dtype))
    progress(ProgressEvent("export", 1, 1, unit="models"))
    counts = {"parameters": num_parameters(config)}
    finish_stage(out, stage="export", fingerprint=fingerprint, counts=counts, seconds=time.monotonic() - started)
    return out


class _Fingerprint(Config):
    weights: str
    tokenizer: str
    dtype: str
    card: str
    chat_template: str
    data_card: str


@dataclass(frozen=True)
class _DataCard:
    """What the model card links to."""

    address: str | None
    content: bytes | None
    """Of a file, to be put beside the model card."""

    @classmethod
    def of(cls, given: str | None) -> "_DataCard":
        """Raises InputError for a file that is not there."""
        if given is None or "://" in given:
            return cls(given, None)
        if not Path(given).is_file():
            raise InputError(f"{given}: no such data card; give the report.html of a curation run, or a URL")
        name = "data_card.md" if given.endswith(".md") else "data_card.html"
        return cls(name, Path(given).read_bytes())

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content or b"").hexdigest()


def export_weights(model: Transformer, *, dtype: DType) -> dict[str, Tensor]:
    """Tensors under the names of LlamaForCausalLM; ours lack only its prefix."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        theirs = name if name.startswith("lm_head.") else f"model.{name}"
        tensors[theirs] = tensor.detach().to(getattr(torch, dtype)).contiguous()
    return tensors


def export_config(config: ModelConfig, *, tokenizer: Tokenizer, dtype: DType) -> dict[str, Any]:
    """config.json. transformers 4 reads `rope_theta` and `torch_dtype`, 5 reads `rope_parameters` and `dtype`."""
    return {
        "architectures": ["Qwen3ForCausalLM" if config.qk_norm else "LlamaForCausalLM"],
        "model_type": "qwen3" if config.qk_norm else "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.d_ffn,
        "max_position_embeddings": config.context_length,
        "tie_word_embeddings": config.tied_embeddings,
        "rms_norm_eps": config.norm_epsilon,
        "initializer_range": config.init_std,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "rope_theta": config.rope_theta,
        "rope_scaling": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "torch_dtype": dtype,
        "dtype": dtype,
        "use_cache": True,
        **_special_ids(tokenizer),
    }


def _special_ids(tokenizer: Tokenizer) -> dict[str, Any]:
    """A document begins where the one before ended, so one token is the beginning, the end and the padding."""
    return dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.end_of_document_id)


def _tokenizer_config(config: ModelConfig, tokenizer: Tokenizer, template: str) -> dict[str, Any]:
    """The class is the plain fast one: LlamaTokenizer of transformers 4 would rebuild itself from tokenizer.model.

    llama.cpp's converter takes from here alone that symbols are symbols, not texts, and that no space begins a text.
    """
    symbols = [token for token in added_tokens(tokenizer) if token["id"] != UNKNOWN_ID]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_DOCUMENT),
        "unk_token": tokenizer.piece(UNKNOWN_ID),
        "model_max_length": config.context_length,
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {str(token.pop("id")): token for token in symbols},
        "chat_template": template,
    }


def _make_free(out: str) -> None:
    """Clears the way over an earlier or an interrupted export; a directory with anything else is left alone.

    config.json is written last and removed first: a directory that has it without `_SUCCESS` is somebody else's model.
    """
    names = {name.split("/")[0] for name in walk_files(out)}
    foreign = names - {*FILES, SUCCESS}
    if CONFIG in names and SUCCESS not in names:
        foreign.add(CONFIG)
    if foreign:
        raise OutputError(f"{out}: holds {', '.join(sorted(foreign)[:3])} of another origin; choose another --out")
    remove_tree(join(out, CONFIG))
    remove_tree(join(out, SUCCESS))


def _write_bytes(path: str, content: bytes) -> None:
    with written_whole(path) as file:
        file.write(content)
