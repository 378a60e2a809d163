"""The configs of everything after curation: tokenizer, plan, model shape, pretraining, SFT, DPO.

A model is written as the name of a preset (`model: m3`), as a preset with changes
(`model: {preset: m3, vocab_size: 4096}`) or in full; presets are the files of `configs/model/`.
"""

from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from ctllm.schemas.config import Config
from ctllm.schemas.mixture import MixtureConfig

Backend = Literal["sdpa", "documents", "flex", "varlen"]
"""How attention over packed documents is computed; `model/attention.py` says what each is."""
Recompute = Literal["none", "selective", "full"]
"""Which activations are computed again in the backward pass; `model/block_execution.py` says what each costs."""
HELD_OUT_SHARE = 0.02  # chosen: 200 of 10,000 documents; more would cost training text


def model_presets() -> list[str]:
    """Names of the presets in `configs/model/`, sorted."""
    entries = files("ctllm.configs").joinpath("model").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


class ModelConfig(Config):
    """Shape of a Llama-like decoder: RMSNorm, RoPE, SwiGLU, no biases."""

    name: str = Field("custom", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    vocab_size: int = Field(ge=8, description="rows of the embedding; may exceed the tokenizer's size (padding)")
    d_model: int = Field(ge=8, description="width of the residual stream")
    num_layers: int = Field(ge=1)
    num_heads: int = Field(ge=1, description="query heads")
    num_kv_heads: int | None = Field(None, ge=1, description="key and value heads; null = num_heads (MHA)")
    d_ffn: int = Field(ge=8, description="inner width of SwiGLU")
    context_length: int = Field(ge=8, description="longest sequence, in tokens")
    tied_embeddings: bool = Field(True, description="the output head is the embedding")
    qk_norm: bool = Field(False, description="queries and keys are normed per head before they turn; Qwen3's shape")
    rope_theta: float = Field(10_000.0, gt=0)
    norm_epsilon: float = Field(1e-5, gt=0, description="CT-LLM's script")
    init_std: float = Field(0.02, gt=0, description="CT-LLM's script")

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.num_heads

    @property
    def kv_heads(self) -> int:
        """Key and value heads, with the default resolved."""
        return self.num_kv_heads or self.num_heads

    @model_validator(mode="before")
    @classmethod
    def _resolve_preset(cls, values: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
        if isinstance(values, str):
            values = {"preset": values}
        if not isinstance(values, dict) or "preset" not in values:
            return values
        changes = {key: value for key, value in values.items() if key != "preset"}
        return {**_read_preset(values["preset"]), **changes}

    @model_validator(mode="after")
    def _heads_divide(self) -> "ModelConfig":
        if self.d_model % self.num_heads or self.head_dim % 2:
            raise ValueError(f"d_model {self.d_model} must be num_heads {self.num_heads} times an even head width")
        if self.num_heads % self.kv_heads:
            raise ValueError(f"num_heads {self.num_heads} must be a multiple of num_kv_heads {self.kv_heads}")
        return self


def _read_preset(name: object) -> dict[str, Any]:
    if name not in model_presets():
        raise ValueError(f"no model preset {name!r}; there are {', '.join(model_presets())}")
    text = files("ctllm.configs").joinpath("model").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


class TokenizerConfig(MixtureConfig):
    """SentencePiece BPE with byte fallback, trained on a sample of the curated text; the weights share the sample."""

    vocab_size: int = Field(8192, ge=300, le=1 << 20, description="pieces, with 256 bytes and the symbols")
    character_coverage: float = Field(
        0.9999, gt=0, le=1, description="share of characters that get a piece; the rest are bytes"
    )
    max_piece_chars: int = Field(16, ge=1, le=64)
    sample_chars: int = Field(
        50_000_000, ge=1000, description="characters of text to train on; all when there are fewer"
    )
    held_out_share: float = Field(
        HELD_OUT_SHARE, ge=0, lt=1, description="documents that a plan with this share holds out are not trained on"
    )


class PlanConfig(MixtureConfig):
    """Which tokens are trained on, in which order, and which are held out; the weights share the tokens."""

    context_length: int = Field(256, ge=8, description="tokens per sequence")
    total_tokens: int | None = Field(None, ge=1, description="length of the plan; null = as many as there are")
    max_epochs: float = Field(
        4.0, gt=0, description="a short source is repeated at most this often"
    )  # arXiv 2305.16264: 4 epochs cost little
    source_max_epochs: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="source to its own bound, where it is not max_epochs"
    )
    held_out_share: float = Field(
        HELD_OUT_SHARE, ge=0, lt=1, description="share of the documents kept for bits per byte"
    )
    seed: int = Field(0, ge=0)


class OptimizerConfig(Config):
    """AdamW, or Muon beside it; norms are never decayed. Betas, decay and clipping are those of CT-LLM's script."""

    kind: Literal["adamw", "muon"] = Field("adamw", description="muon: for the layers' matrices, AdamW for the rest")
    learning_rate: float = Field(3e-4, gt=0, description="peak")
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    decay_embeddings: bool = Field(True, description="embedding and head are decayed too")
    muon_momentum: float = Field(0.95, ge=0, lt=1, description="muon only")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this norm")
    skip_spikes_above: float | None = Field(
        None, gt=1, description="a step whose gradient norm is above this many medians is not applied; null = all are"
    )
    rewind_spikes: int | None = Field(
        None,
        ge=1,
        description="after such a step go back and leave out this many batches, its own the last; null = only its own",
    )

    @model_validator(mode="after")
    def _rewinding_needs_a_limit(self) -> "OptimizerConfig":
        if self.rewind_spikes is not None and self.skip_spikes_above is None:
            raise ValueError("rewind_spikes needs skip_spikes_above, which says what a spike is; set both or neither")
        return self


class ScheduleConfig(Config):
    """How the learning rate moves between warm-up and the last step."""

    kind: Literal["wsd", "cosine", "constant"] = "wsd"
    warmup_steps: int = Field(0, ge=0)
    final_share: float = Field(0.1, ge=0, le=1, description="last learning rate as a share of the peak")
    decay_share: float = Field(
        0.2, gt=0, le=1, description="wsd: share of the steps that decay"
    )  # arXiv 2404.06395: 0.1 is enough, 0.025 is not


class LoopConfig(Config):
    """The training loop: how long, how large a step, when to save and measure."""

    steps: int = Field(ge=1)
    sequences_per_step: int = Field(ge=1, description="sequences (DPO: pairs) in one optimizer step")
    sequences_per_micro_batch: int | None = Field(
        None, ge=1, description="held in memory at once by a process; null = its whole share of the step"
    )
    shard_processes: int | None = Field(
        None, ge=1, description="processes that share one copy of weights and moments (HSDP); null = all (FSDP)"
    )
    checkpoint_every_steps: int = Field(200, ge=1)
    keep_checkpoints: int = Field(2, ge=1, description="newest checkpoints kept")
    evaluate_every_steps: int = Field(100, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="activations; weights and moments stay float32"
    )
    attention: Literal["auto"] | Backend = Field(
        "auto", description="back end for packed documents; auto = on a GPU the fastest by a probe, else documents"
    )
    compile_layers: Literal["auto", "always", "never"] = Field(
        "auto", description="torch.compile, each layer on its own; auto = on a GPU"
    )
    recompute: Recompute = Field(
        "none", description="activations computed again instead of kept: saves memory, costs up to a third more work"
    )
    seed: int = Field(0, ge=0, description="initial weights")

    @model_validator(mode="after")
    def _micro_batch_fits(self) -> "LoopConfig":
        if (self.sequences_per_micro_batch or 1) > self.sequences_per_step:
            raise ValueError("sequences_per_micro_batch is above sequences_per_step; a step is made of micro-batches")
        return self


class PretrainConfig(Config):
    """The whole of `ctllm pretrain`."""

    tokens: str = Field(description="directory of token shards")
    plan: str = Field(description="directory of the plan")
    out: str = Field(description="run directory: checkpoints, ledger, summary")
    model: ModelConfig
    checkpoint: str | None = Field(
        None, description="checkpoint, or run directory, whose weights are trained on; null = new weights"
    )
    loop: LoopConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    document_masks: bool = Field(
        True, description="documents in one sequence do not see each other; false as CT-LLM trained"
    )
    loss_after_document: bool = Field(
        True, description="the first token of a document counts; false = Megatron's --eod-mask-loss, as CT-LLM trained"
    )
    sample_prompts: tuple[str, ...] = Field(
        ("中国的", "今天早上，", "人们常说"),
        description="beginnings continued at each evaluation, into the ledger; [] = none",
    )
    sample_tokens: int = Field(48, ge=1, description="longest continuation")
