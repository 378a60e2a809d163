"""The configs of SFT, DPO and generation: what follows pretraining."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ctllm.schemas.config import Config
from ctllm.schemas.training_config import LoopConfig, OptimizerConfig, ScheduleConfig

DpoLoss = Literal["sigmoid", "ipo", "hinge", "robust", "sigmoid_norm", "apo_zero"]
LanguageRatio = Annotated[str, Field(pattern=r"^(all|zh only|en only|[1-9]\d*:[1-9]\d*)$")]
"""All rows, those of one language, or Chinese to English."""


class TuningDataConfig(Config):
    """Which rows of a converted directory are trained on, and which are held out."""

    zh_to_en: LanguageRatio = Field(
        "all",
        description="languages: all rows, one of them, or a ratio such as 4:1 (the largest subset that has it)",
    )
    max_rows_per_language: int | None = Field(
        None, ge=1, description="rows of the larger language at most; null = all. Ratios of one bound can be compared"
    )
    held_out_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="openings (first user messages) whose rows are never trained on; the same ones for SFT and DPO",
    )
    max_held_out: int = Field(
        200, ge=0, description="of their rows at most this many are measured before and after; chosen, untested"
    )


Matrix = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MATRICES: tuple[Matrix, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraConfig(Config):
    """Low-rank adapters instead of all weights; see `model/lora.py`. Their learning rate is about ten times higher."""

    rank: int = Field(16, ge=1, description="width of the adapters")
    alpha: float = Field(32.0, gt=0, description="what an adapter adds is scaled by alpha / rank")
    matrices: tuple[Matrix, ...] = Field(MATRICES, min_length=1, description="which matrices of every layer get one")


class PerplexitySelection(Config):
    """Conversations chosen by the perplexity of their answers under a given model, in each language by itself."""

    checkpoint: str = Field(description="checkpoint, or run directory, of the model that is asked")
    keep_share: float = Field(gt=0, le=1, description="share of each language's conversations, least surprising first")
    min_perplexity: float | None = Field(
        None, gt=1, description="answers that surprise less than this are left out: they only repeat; null = none are"
    )


class SftConfig(Config):
    """The whole of `ctllm sft`."""

    checkpoint: str = Field(description="checkpoint, or run directory, to start from")
    conversations: str = Field(description="directory that `ctllm conversations --kind conversations` wrote")
    out: str = Field(description="run directory: checkpoints, ledger, summary")
    data: TuningDataConfig = TuningDataConfig()
    select: PerplexitySelection | None = Field(None, description="conversations chosen by perplexity; null = all")
    lora: LoraConfig | None = Field(None, description="train adapters only; null = all weights")
    neftune_alpha: float | None = Field(
        None,
        gt=0,
        description="noise on the embeddings, alpha / sqrt(tokens x width); arXiv 2310.05914 has 5; null = none",
    )
    context_length: int | None = Field(None, ge=8, description="tokens per sequence; null = the model's")
    loop: LoopConfig
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)
    schedule: ScheduleConfig = ScheduleConfig(kind="cosine")


class DpoConfig(Config):
    """The whole of `ctllm dpo`."""

    checkpoint: str = Field(description="checkpoint, or run directory: start and frozen reference")
    preferences: str = Field(description="directory that `ctllm conversations --kind preferences` wrote")
    out: str = Field(description="run directory: checkpoints, ledger, summary")
    reference: str | None = Field(
        None, description="directory of reference log-probabilities that several runs share; null = OUT/reference"
    )
    data: TuningDataConfig = TuningDataConfig()
    lora: LoraConfig | None = Field(None, description="train adapters only; null = all weights")
    loss: DpoLoss = "sigmoid"
    beta: float = Field(0.1, gt=0, description="how strongly the reference holds; CT-LLM's card says 0.5")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="robust: share of the pairs taken to be swapped")
    context_length: int | None = Field(None, ge=8, description="tokens per sequence; null = the model's")
    loop: LoopConfig
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6, weight_decay=0.1)  # CT-LLM-SFT-DPO card
    schedule: ScheduleConfig = ScheduleConfig(kind="cosine")

    @model_validator(mode="after")
    def _robust_needs_smoothing(self) -> "DpoConfig":
        if (self.loss == "robust") != (self.label_smoothing > 0):
            raise ValueError("label_smoothing belongs to loss: robust, which needs it above 0; set both or neither")
        return self


class GenerateConfig(Config):
    """How text is drawn from a model."""

    max_new_tokens: int = Field(128, ge=1)
    temperature: float = Field(0.8, ge=0, description="0 = always the likeliest token")
    top_p: float = Field(0.95, gt=0, le=1, description="drawn from the likeliest tokens that hold this probability")
    seed: int = Field(0, ge=0)
