"""The config of training on a new curated version: stages, the gate before it is accepted, when a person is asked."""

from pydantic import Field

from ctllm.schemas.config import Config


class GateConfig(Config):
    """What a curated version and the model trained on it must hold; a bound that is null is not asked for."""

    min_kept_documents: int = Field(1, ge=1, description="kept by the curation, all lanes together")
    max_failed_share: float | None = Field(
        0.1, ge=0, le=1, description="of the records read; chosen, untested: the guard of a source allows as much"
    )
    max_removed_share: float | None = Field(0.9, ge=0, le=1, description="of the documents of a lane; chosen, untested")
    max_kept_share_drop: float | None = Field(
        0.2, ge=0, le=1, description="a lane keeps at most this much less than in the accepted version; chosen"
    )
    max_bits_per_byte: float | None = Field(None, gt=0, description="of each lane's held-out documents")
    max_bits_per_byte_increase: float | None = Field(
        0.02, ge=0, description="share above the accepted model's on the same held-out documents; chosen, untested"
    )


class ApprovalConfig(Config):
    """When a person is asked before pretraining: at more than one of the bounds."""

    max_gpu_hours: float | None = Field(1.0, ge=0, description="by `ctllm estimate`; null = never asked for this")
    max_tokens: int | None = Field(None, ge=0, description="positions trained on; null = never asked for this")
    timeout_hours: float = Field(72.0, gt=0, description="an unanswered run fails after this time")
    gpus: int = Field(1, ge=1, description="that the estimate is for")
    gpu: str = Field("H100", description="kind of GPU, as `ctllm estimate` knows them")
    mfu: float = Field(0.4, gt=0, le=1, description="share of the data sheet that is reached")


class TrainVersionConfig(Config):
    """A curated version to a model that is compared with the accepted one; the tokenizer is the same for all."""

    tokenizer: str = Field(description="tokenizer.model or name@version: the same for all versions that are compared")
    plan: str = Field(description="config of `ctllm plan`")
    pretrain: str = Field(description="config of `ctllm pretrain`")
    evaluate: str = Field(description="config of `ctllm evaluate`")
    gate: GateConfig = GateConfig()
    approval: ApprovalConfig = ApprovalConfig()
    workers: int | None = Field(None, ge=1, description="worker threads of the local Beam runner; null = all cores")
