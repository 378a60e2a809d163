"""A new curated version to a model: tokenise, plan, ask if it is dear, pretrain, evaluate, accept or reject.

Runs by an event (prefect.yaml) or by hand. Every step is a version of its own (`zh-tokens@3`, `zh-plan@3`,
`zh-model@3`), so that a suspended, killed or repeated run goes on where it was.
"""

from typing import Annotated

from prefect import flow, get_run_logger, suspend_flow_run
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.input import RunInput
from prefect.states import Completed
from pydantic import Field

from ctllm.flows import commands
from ctllm.flows.checks import check_configs
from ctllm.flows.commands import Step
from ctllm.flows.notification import notify, notify_of_end
from ctllm.flows.parameters import ConfigFile, Help
from ctllm.flows.quality_gate import check_bits_per_byte, check_curation
from ctllm.flows.stage import place_of, run_step
from ctllm.schemas.config import read_config
from ctllm.schemas.data_version import DataVersion
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import join, read_json
from ctllm.schemas.registry import Registry
from ctllm.schemas.train_version_config import TrainVersionConfig
from ctllm.schemas.training_config import PretrainConfig
from ctllm.schemas.tuning_run import EVALUATION, EvaluationResult

Version = Annotated[str, Help("a curated name@version")]


class Approval(RunInput):
    """The form that a suspended run shows."""

    approve: bool = Field(False, description="start the pretraining")
    by: str = Field("", description="who decided; kept with the version when it is not approved")
    comment: str = Field("", description="kept with the version when it is not approved")


@flow(
    name="train-version",
    flow_run_name="train {version}",
    on_failure=[notify_of_end],
    on_crashed=[notify_of_end],
)
def train_version(version: Version, config: ConfigFile = "configs/train_version/demo.yaml") -> State[str]:
    """Train on a curated version and accept it, or reject it with reasons; the accepted one before then stays."""
    settings, registry = read_config(config, TrainVersionConfig), Registry.default()
    found = registry.find(version)
    if found.contents.kind != "curated":
        raise ConfigError(f"{version}: a version of {found.contents.kind}; give one of a curation")
    if found.state != "published":
        return Completed(name="Decided", message=f"{version}: {found.state} already", data=found.state)
    _check(found, settings)
    accepted = registry.accepted(found.name)
    if reasons := check_curation(found.path, accepted.path if accepted else None, settings.gate):
        return _reject(registry, found, reasons)
    _make_plan(found, settings)
    if refusal := _refusal(found, settings):
        return _reject(registry, found, [refusal])
    model = _train(found, settings)
    if reasons := _compare(model, found, accepted, settings):
        return _reject(registry, found, reasons)
    registry.set_state(version, "accepted")
    return Completed(name="Accepted", message=f"{version} is the accepted version of {found.name}", data=model)


def part_of(version: DataVersion, part: str) -> str:
    """`zh@3` and `tokens`: `zh-tokens@3`."""
    return f"{version.name}-{part}@{version.version}"


def _plan(version: DataVersion, settings: TrainVersionConfig) -> Step:
    return commands.plan(part_of(version, "tokens"), config=settings.plan, out=part_of(version, "plan"))


def _pretraining(version: DataVersion, settings: TrainVersionConfig) -> Step:
    tokens, plan, model = (part_of(version, part) for part in ("tokens", "plan", "model"))
    return commands.pretrain(settings.pretrain, tokens=tokens, plan=plan, out=model)


def _evaluation(model: str, *, out: str, version: DataVersion, settings: TrainVersionConfig) -> Step:
    """Of a model, on the held-out documents of a version."""
    data = {part: part_of(version, part) for part in ("tokens", "plan")}
    return commands.evaluate(model, config=settings.evaluate, out=out, **data)


def _check(version: DataVersion, settings: TrainVersionConfig) -> None:
    """Reads all configs before anything runs. Raises ConfigError."""
    model = part_of(version, "model")
    evaluation = _evaluation(model, out=place_of(model), version=version, settings=settings)
    check_configs([_plan(version, settings), _pretraining(version, settings), evaluation])


def _make_plan(version: DataVersion, settings: TrainVersionConfig) -> None:
    tokens = part_of(version, "tokens")
    run_step(commands.tokenize(version.reference, tokenizer=settings.tokenizer, out=tokens, workers=settings.workers))
    run_step(_plan(version, settings))


def _refusal(version: DataVersion, settings: TrainVersionConfig) -> str | None:
    """Why the pretraining is not to be started: asks a person when it is dear; None when it may start."""
    bill = expense(settings)
    if bill is None:
        return None
    try:
        answer = suspend_flow_run(
            wait_for_input=Approval.with_initial_data(description=f"{version.reference}: {bill}"),
            timeout=int(settings.approval.timeout_hours * 3600),
            key=f"approve-{version.name}-{version.version}",
        )
    except Pause:  # not when it goes on, which begins the flow anew
        notify("ctllm.approval-wanted", f"{version.reference}: {bill}; resume the run to approve or refuse")
        raise
    get_run_logger().info("%s by %s", "approved" if answer.approve else "refused", answer.by or "nobody named")
    return (
        None if answer.approve else f"not approved by {answer.by or 'nobody named'}: {answer.comment or 'no comment'}"
    )


def expense(settings: TrainVersionConfig) -> str | None:
    """What the pretraining costs, where that is above what needs no approval."""
    from ctllm.model.estimate import estimate_training

    asked = settings.approval
    training = read_config(settings.pretrain, PretrainConfig)
    bill = estimate_training(training, gpus=asked.gpus, gpu=asked.gpu, mfu=asked.mfu)
    too_long = asked.max_gpu_hours is not None and bill.gpu_hours > asked.max_gpu_hours
    too_many = asked.max_tokens is not None and bill.tokens > asked.max_tokens
    if not (too_long or too_many):
        return None
    return f"{bill.tokens:,} tokens, about {bill.gpu_hours:,.3g} GPU-hours on {asked.gpus} x {asked.gpu}"


def _train(version: DataVersion, settings: TrainVersionConfig) -> str:
    """The model's version."""
    return run_step(_pretraining(version, settings))


def _compare(model: str, version: DataVersion, accepted: DataVersion | None, settings: TrainVersionConfig) -> list[str]:
    """Measures the new model, and the accepted one, on the new version's held-out documents."""
    out = place_of(model)
    new = _evaluate(model, out=out, version=version, settings=settings)
    before = None
    if accepted is not None and is_trained(accepted):
        before = _evaluate(part_of(accepted, "model"), out=join(out, "accepted"), version=version, settings=settings)
    return check_bits_per_byte(new, before, settings.gate)


def is_trained(version: DataVersion) -> bool:
    """Whether a model of the version is registered; one that a person accepted may have none."""
    model = part_of(version, "model")
    return any(each.reference == model for each in Registry.default().versions(f"{version.name}-model"))


def _evaluate(model: str, *, out: str, version: DataVersion, settings: TrainVersionConfig) -> EvaluationResult:
    run_step(_evaluation(model, out=out, version=version, settings=settings))
    return EvaluationResult.model_validate(read_json(join(out, EVALUATION)))


def _reject(registry: Registry, version: DataVersion, reasons: list[str]) -> State[str]:
    registry.set_state(version.reference, "rejected", reasons=reasons)
    accepted = registry.accepted(version.name)
    stays = f"{accepted.reference} stays accepted" if accepted else f"no version of {version.name} is accepted"
    text = f"{version.reference} is rejected: {'; '.join(reasons)}; {stays}"
    notify("ctllm.version.rejected", text)
    return Completed(name="Rejected", message=text, data="rejected")
