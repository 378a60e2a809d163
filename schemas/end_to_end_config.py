"""The config of the whole way: one config file per stage, and what goes in at the front."""

from pydantic import Field

from ctllm.schemas.config import Config


class EndToEndConfig(Config):
    """Raw sources and chat data in, an aligned and exported model out, everything under one workspace directory."""

    inputs: tuple[str, ...] = Field(min_length=1, description="files, globs, directories or URLs to curate")
    conversations: tuple[str, ...] = Field(min_length=1, description="JSONL files of conversations for SFT")
    preferences: tuple[str, ...] = Field(min_length=1, description="JSONL files of preference pairs for DPO")
    benchmarks: tuple[str, ...] = Field((), description="benchmark items that must not stand in chat data")
    curation: str = Field("configs/curation/recommended.yaml", description="config of `ctllm curate`")
    tokenizer: str = Field(description="config of `ctllm tokenizer train`")
    plan: str = Field(description="config of `ctllm plan`")
    pretrain: str = Field(description="config of `ctllm pretrain`")
    sft: str = Field(description="config of `ctllm sft`")
    dpo: str = Field(description="config of `ctllm dpo`")
    evaluate: str = Field(description="config of `ctllm evaluate`")
    prompts: tuple[str, ...] = Field(("春天",), description="what the finished model is asked to continue")
    workers: int | None = Field(None, ge=1, description="worker threads of the local Beam runner; null = all cores")
    max_training_seconds: float | None = Field(
        None, gt=0, description="each training ends with a checkpoint after this time"
    )
