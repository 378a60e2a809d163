"""What a training run leaves behind: state in a checkpoint, one ledger line per step, a summary at the end."""

from ctllm.schemas.config import Config

LEDGER = "ledger.jsonl"
SUMMARY = "summary.json"
IDENTITY = "run.json"
DATA = "data.json"
"""Names in a training run's directory."""


class TrainingState(Config):
    """Everything a resume needs beside weights and moments. There is no random state: batch k follows from k."""

    step: int
    """Optimizer steps done, which is the index of the next batch."""
    label_tokens: int
    """Labels trained on so far."""
    run_digest: str
    """Digest of the run's identity: config, data and initial weights."""
    ledger_bytes: int
    """Length of the ledger when the checkpoint was written."""


class TrainingData(Config):
    """`RUN/data.json`: where the text of a pretraining run lay. No part of its identity: directories may be moved."""

    tokens: str
    plan: str


class LedgerLine(Config):
    """One optimizer step; `RUN/ledger.jsonl` holds each exactly once, in order, whatever was killed in between."""

    step: int
    """From 0; the batch is `batch(step)`."""
    batch: str
    """Digest of the batch's tensors."""
    label_tokens: int
    """Labels in the batch (DPO: pairs), which is what the loss was divided by."""
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
    """Labels a second, median over all steps."""
    seconds: float
    """Wall time of this life; not the sum over resumes."""
    checkpoint: str
