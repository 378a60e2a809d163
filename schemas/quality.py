"""The quality classifier: how it is trained, and `model.json`, which says what a trained one is."""

from pydantic import Field

from ctllm.schemas.config import Config

MODEL, CARD = "model.bin", "model.json"
"""Files of a model's directory; the card is written last."""


class QualityTrainingConfig(Config):
    """Settings of `ctllm quality train`. "MAP-NEO": the settings of its recall of good pages."""

    dim: int = Field(256, ge=2, description="MAP-NEO")
    epoch: int = Field(3, ge=1, description="MAP-NEO")
    word_ngrams: int = Field(3, ge=1, le=5, description="MAP-NEO")
    learning_rate: float = Field(0.1, gt=0, description="fastText's default")
    min_count: int = Field(5, ge=1, description="rarer tokens are left out; fastText's default for vectors")
    buckets: int = Field(
        200_000, ge=1, description="n-grams hash into so many rows; fastText's 2,000,000 would be a file of 2 GB"
    )
    max_documents: int = Field(500_000, ge=20, description="per class, drawn by their digests; MAP-NEO")
    num_chars: int = Field(2000, ge=50, description="characters of each document that are read; chosen, untested")
    held_out_share: float = Field(0.1, gt=0, lt=1, description="never trained on, drawn by their digests")
    threads: int = Field(
        12,
        ge=11,
        description="fastText 0.9.3 fills only min(threads, 10) tenths of the input matrix: with fewer, NaN or garbage",
    )


class ThresholdRow(Config):
    """What `min_quality_score: threshold` would do to the held-out documents."""

    threshold: float
    precision: float
    """Positive ones among those kept; 1 where none is kept."""
    recall: float
    """Positive ones that are kept."""
    f1: float
    kept_negative_share: float


class QualityCard(Config):
    """`model.json`."""

    settings: QualityTrainingConfig
    inputs: dict[str, dict[str, str]]
    """Class (positive, negative) to its input files and the sha256 of each."""
    documents: dict[str, dict[str, int]]
    """Class to the documents read, failed, copies, contradicting, trained, held_out."""
    held_out: list[ThresholdRow]
    model_sha256: str
    version: str
    """Of ctllm."""
