"""One Prefect flow per stage. Parameters are flat strings and numbers: a trigger can fill them from an event."""

from prefect import flow

from ctllm.flows import commands
from ctllm.flows.announcement import announce
from ctllm.flows.parameters import (
    Benchmarks,
    ChatKind,
    Checkpoint,
    ConfigFile,
    Conversations,
    Inputs,
    MaxSeconds,
    MeasuredPlan,
    MeasuredPreferences,
    MeasuredTokens,
    Out,
    Overrides,
    Plan,
    Preferences,
    Run,
    TokenizerFile,
    Tokens,
    Workers,
)
from ctllm.flows.stage import run_step
from ctllm.schemas.data_version import parse_reference
from ctllm.schemas.registry import Registry


@flow(flow_run_name="curate {out}")
def curate(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = "configs/curation/recommended.yaml",
    overrides: Overrides = [],  # noqa: B006 - Prefect's form shows the value; nobody changes it
    workers: Workers = None,
) -> str:
    """Turn raw sources into curated shards, with a verdict for every document; a new version is announced."""
    run_step(commands.curate(inputs, config=config, out=out, overrides=overrides, workers=workers))
    if parse_reference(out):
        announce(Registry.default().find(out))
    return out


@flow(flow_run_name="tokenizer {out}")
def tokenizer(run: Run, out: Out, config: ConfigFile) -> str:
    """Train a SentencePiece tokenizer on a sample of curated text."""
    return run_step(commands.tokenizer(run, config=config, out=out))


@flow(flow_run_name="tokenize {out}")
def tokenize(
    run: Run,
    tokenizer: TokenizerFile,
    out: Out,
    workers: Workers = None,
) -> str:
    """Turn curated text into token shards."""
    return run_step(commands.tokenize(run, tokenizer=tokenizer, out=out, workers=workers))


@flow(flow_run_name="plan {out}")
def plan(tokens: Tokens, out: Out, config: ConfigFile) -> str:
    """Decide which tokens are trained on, in which order, and which are held out."""
    return run_step(commands.plan(tokens, config=config, out=out))


@flow(flow_run_name="{kind} {out}")
def conversations(
    inputs: Inputs,
    kind: ChatKind,
    out: Out,
    benchmarks: Benchmarks = [],  # noqa: B006 - as overrides of curate
    workers: Workers = None,
) -> str:
    """Check chat data and write it as Parquet, without copies and benchmark items."""
    return run_step(commands.conversations(inputs, kind=kind, out=out, benchmarks=benchmarks, workers=workers))


@flow(flow_run_name="pretrain {out}")
def pretrain(
    config: ConfigFile,
    tokens: Tokens,
    plan: Plan,
    out: Out,
    max_seconds: MaxSeconds = None,
) -> str:
    """Pretrain a model on a plan; continues a run that was stopped or killed."""
    return run_step(commands.pretrain(config, tokens=tokens, plan=plan, out=out, max_seconds=max_seconds))


@flow(flow_run_name="sft {out}")
def sft(
    config: ConfigFile,
    checkpoint: Checkpoint,
    conversations: Conversations,
    out: Out,
    max_seconds: MaxSeconds = None,
) -> str:
    """Fine-tune a checkpoint on conversations."""
    step = commands.sft(config, checkpoint=checkpoint, conversations=conversations, out=out, max_seconds=max_seconds)
    return run_step(step)


@flow(flow_run_name="dpo {out}")
def dpo(
    config: ConfigFile,
    checkpoint: Checkpoint,
    preferences: Preferences,
    out: Out,
    max_seconds: MaxSeconds = None,
) -> str:
    """Align a checkpoint on preference pairs."""
    step = commands.dpo(config, checkpoint=checkpoint, preferences=preferences, out=out, max_seconds=max_seconds)
    return run_step(step)


@flow(flow_run_name="evaluate {checkpoint}")
def evaluate(  # noqa: PLR0917 - parameters of a flow are named, in the form and in code
    checkpoint: Checkpoint,
    out: Out,
    config: ConfigFile,
    tokens: MeasuredTokens = None,
    plan: MeasuredPlan = None,
    preferences: MeasuredPreferences = None,
) -> str:
    """Measure a checkpoint: bits per byte (needs tokens and plan), multiple choice, preference accuracy."""
    data = {"tokens": tokens, "plan": plan, "preferences": preferences}
    return run_step(commands.evaluate(checkpoint, config=config, out=out, **data))


@flow(flow_run_name="export {out}")
def export(checkpoint: Checkpoint, out: Out) -> str:
    """Export a checkpoint as a Hugging Face directory."""
    return run_step(commands.export(checkpoint, out=out))
