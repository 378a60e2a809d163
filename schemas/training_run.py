"""What a training run leaves behind: state in a checkpoint, one ledger line per step, a summary at the end."""

from ctllm.schemas.config import Config


class TrainingState(Config):
    """Everything a resume needs beside weights and moments. There is no random state: batch k follows from k."""

    step: int
    """Optimizer steps done, which is the index of the next batch."""
    label_tokens: int
    """Labels trained on so far."""
    data_digest: str
    """Digest of the data the batches come from (the plan's hash)."""
    ledger_bytes: int
    """Length of the ledger when the checkpoint was written."""


class LedgerLine(Config):
    """One optimizer step; `RUN/ledger.jsonl` holds each exactly once, in order, whatever was killed in between."""

    step: int
    """From 0; the batch is `batch(step)`."""
    batch: str
    """Digest of the batch's tensors."""
    label_tokens: int
    loss: float
    """Nats per label, before the update."""
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    tokens_per_s: float
    values: dict[str, float] = {}
    """Further figures of the loss, each a mean over the labels of the step."""
    evaluation_before: dict[str, float] = {}
    """Measured before the first update; only on line 0."""
    evaluation: dict[str, float] = {}
    """Measured after the update; empty on most lines."""


class TrainingSummary(Config):
    """`RUN/summary.json`."""

    stage: str
    finished: bool
    """False when the time limit came first; `--resume` continues."""
    step: int
    steps: int
    label_tokens: int
    num_parameters: int
    first_loss: float
    last_loss: float
    """Mean over the last 10 steps."""
    evaluation_before: dict[str, float]
    evaluation: dict[str, float]
    tokens_per_s: float
    """Median over this life's steps."""
    seconds: float
    checkpoint: str
