"""Scores that others published: `configs/published/scores.yaml`."""

from pydantic import Field

from ctllm.schemas.config import Config


class PublishedScore(Config):
    """One number of somebody else's."""

    model: str
    task: str = Field(description="our name of the benchmark")
    accuracy: float = Field(ge=0, le=1)
    source: str = Field(description="where it was read")


class PublishedScores(Config):
    """The whole file."""

    scores: tuple[PublishedScore, ...]
