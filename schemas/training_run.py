"""What a training run leaves behind: state in a checkpoint, one ledger line per step, a summary at the end."""

from pydantic import ConfigDict

from ctllm.schemas.config import Config
from ctllm.schemas.training_config import Backend

LEDGER = "ledger.jsonl"
SUMMARY = "summary.json"
IDENTITY = "run.json"
DATA = "data.json"
MACHINE = "machine.json"
"""Names in a training run's directory."""


class Measured(Config):
    """What holds figures that a model gave, which may be no numbers: those are written as words, not as null."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


class StepSpeed(Config):
    """How well a step used the machine; padding counts as work, for the machine does it."""

    positions_per_s: float
    """Positions that went through the model, with a label or without."""
    flops_per_s: float
    """Operations a second of forward and backward, the whole square of attention counted ("full")."""
    mfu: float | None = None
    """Of the data sheet's rate, full: what others quote. None where the data sheet is not known."""
    mfu_causal: float | None = None
    """The same with the causal half of attention: what the model needs."""
    gemm_share: float
    """Full, of the rate of a large matrix product on this machine: the honest one."""


class LedgerLine(Measured):
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
    skipped: bool = False
    """The gradient norm was a spike (`optimizer.skip_spikes_above`): weights and moments stayed as they were."""
    left_out: bool = False
    """Passed over after going back (`optimizer.rewind_spikes`): loss and norm are those of the first time."""
    learning_rate: float
    alarm: str = ""
    """What is wrong with the last steps although the loss is a number; empty when nothing is."""
    tokens_per_s: float
    """Labels a second."""
    speed: StepSpeed | None = None
    """None in ledgers from before it was measured."""
    values: dict[str, float] = {}
    """Further figures of the loss, each a mean over the labels of the step."""
    evaluation_before: dict[str, float] = {}
    """Measured before the first update; only on line 0."""
    evaluation: dict[str, float] = {}
    """Measured after the update; empty on most lines."""
    samples: dict[str, str] = {}
    """Beginning to what the model wrote after it, where it was measured too."""


class TrainingState(Measured):
    """Everything a resume needs beside weights and moments. There is no random state: batch k follows from k."""

    step: int
    """Optimizer steps done, which is the index of the next batch."""
    label_tokens: int
    """Labels trained on so far."""
    run_digest: str
    """Digest of the run's identity: config, data and initial weights."""
    ledger_bytes: int
    """Length of the ledger when the checkpoint was written."""
    left_out: tuple[LedgerLine, ...] = ()
    """Lines of steps to come that are passed over, as a spike after them made the run go back."""
    unmeasured: LedgerLine | None = None
    """The last step done, when the run was stopped in the measurement after it; neither counted nor in the ledger."""


class TrainingData(Config):
    """`RUN/data.json`: where the text of a pretraining run lay. No part of its identity: directories may be moved."""

    tokens: str
    plan: str


class TrainingMachine(Config):
    """`RUN/machine.json`: what the run's last life ran on. No part of its identity: a run may move."""

    device: str
    """Name of the GPU, or `cpu`."""
    processes: int = 1
    """That share the work, one on each device."""
    compute_dtype: str
    attention: Backend
    """Back end for packed documents; a resume on the same device keeps it."""
    attention_seconds: dict[str, float] = {}
    """What the probe measured: one forward and backward pass of one layer's attention; empty when none ran."""
    compiled: bool = False
    """Whether the layers were compiled."""
    peak_flops: float | None
    """Operations a second by the data sheet, dense bfloat16; None for a device that is not in our table."""
    gemm_flops: float
    """Operations a second of a large matrix product in the run's dtype, measured when this life began."""
    float32_flops: float | None = None
    """The same in float32; None on a GPU and where that is the run's dtype."""


class TrainingSummary(Measured):
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
    skipped_steps: int = 0
    """Steps whose gradient norm was a spike, and those left out before them."""
    alarmed_steps: int = 0
    """Steps at which the ledger holds an alarm."""
    evaluation_before: dict[str, float]
    evaluation: dict[str, float]
    tokens_per_s: float
    """Labels a second, median over all steps."""
    speed: StepSpeed | None = None
    """Median over all steps, figure by figure."""
    seconds: float
    """Wall time of this life; not the sum over resumes."""
    checkpoint: str
