"""The config of `ctllm synthesise`: preference pairs whose rejected answers a weaker model writes."""

from pydantic import Field, model_validator

from ctllm.schemas.config import Config
from ctllm.schemas.endpoint_config import EndpointConfig
from ctllm.schemas.tuning_config import GenerateConfig


class SynthesisConfig(Config):
    """Chosen: the last answer of each conversation. Rejected: what the endpoint, or the checkpoint, answers instead."""

    conversations: str = Field(
        description="directory that `ctllm conversations --kind conversations` wrote: good answers"
    )
    out: str = Field(description="directory to write: answers.jsonl, pairs.jsonl, failures.jsonl, synthesis.json")
    endpoint: EndpointConfig | None = Field(None, description="OpenAI-compatible server of the weaker model")
    checkpoint: str | None = Field(
        None, description="or a checkpoint of ours (or run directory), asked in this process"
    )
    max_pairs: int | None = Field(
        None, ge=1, description="conversations used, in the order of their hashes; null = all"
    )
    answers: GenerateConfig = Field(
        GenerateConfig(max_new_tokens=512), description="how the rejected answers are drawn"
    )
    prompts_per_batch: int = Field(16, ge=1, description="checkpoint: prompts answered at once")

    @model_validator(mode="after")
    def _one_model_answers(self) -> "SynthesisConfig":
        if (self.endpoint is None) == (self.checkpoint is None):
            raise ValueError("give endpoint or checkpoint, one of them: the model that writes the rejected answers")
        return self
