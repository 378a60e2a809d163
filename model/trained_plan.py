"""The plan that a pretraining run went through, found again from the run's directory."""

from typing import Any

from ctllm.model.plan import Plan
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import AccountingError, InputError
from ctllm.schemas.files import exists, join, read_json
from ctllm.schemas.training_run import DATA, IDENTITY, TrainingData


class TrainedPlan:
    """Shards and plan of a run, and how its steps went through them: step k took sequences k * n to (k + 1) * n."""

    def __init__(self, run: str, *, tokens: str | None = None, plan: str | None = None) -> None:
        """`tokens` and `plan` are needed when the directories that the run was trained on have moved.

        Raises InputError when `run` is no pretraining run or they are not there, AccountingError when the plan is not
        the run's.
        """
        identity = _identity(run)
        data = _data(run, tokens=tokens, plan=plan)
        self.steps: int = identity["loop"]["steps"]
        self.sequences_per_step: int = identity["loop"]["sequences_per_step"]
        self.shards = TokenShards(data.tokens)
        self.plan = Plan(data.plan, shards=self.shards)
        if (digest := self.plan.manifest.plan_digest) != identity["plan"]:
            raise AccountingError(
                f"{data.plan}: plan {digest}, the run was trained on {identity['plan']}; pass its --plan"
            )


def _identity(run: str) -> dict[str, Any]:
    path = join(run, IDENTITY)
    identity = read_json(path) if exists(path) else {}
    if identity.get("stage") != "pretrain":
        raise InputError(f"{run}: no pretraining run here (no {IDENTITY} of one); give the `out` of `ctllm pretrain`")
    return dict(identity)


def _data(run: str, *, tokens: str | None, plan: str | None) -> TrainingData:
    path = join(run, DATA)
    known = read_json(path) if exists(path) else {}
    data = {"tokens": tokens or known.get("tokens"), "plan": plan or known.get("plan")}
    for name, directory in data.items():
        if directory is None or not exists(join(directory, "manifest.json")):
            where = f"{directory}: no longer there" if directory else f"{run}: has no {DATA}"
            raise InputError(f"{where}; pass --{name} with the directory that the run was trained on")
    return TrainingData.model_validate(data)
