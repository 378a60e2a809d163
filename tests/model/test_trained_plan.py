"""The plan of a run, found again from its directory."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.model.plan import make_plan
from ctllm.model.token_shards import TokenShards
from ctllm.model.trained_plan import TrainedPlan
from ctllm.schemas.errors import AccountingError, InputError
from ctllm.schemas.files import write_json
from ctllm.schemas.training_config import PlanConfig


@pytest.fixture
def run(write_shards: Callable[..., TokenShards], tmp_path: Path) -> Path:
    """What a pretraining of five steps of three sequences leaves behind for this."""
    write_shards([("zh", [2 + row] * (5 + row)) for row in range(20)])
    made = make_plan(str(tmp_path / "tokens"), config=PlanConfig(context_length=16), out=str(tmp_path / "plan"))
    loop = {"steps": 5, "sequences_per_step": 3}
    write_json(str(tmp_path / "run/run.json"), {"stage": "pretrain", "plan": made.plan_digest, "loop": loop})
    places = {name: str(tmp_path / name) for name in ("tokens", "plan")}
    write_json(str(tmp_path / "run/data.json"), places)
    return tmp_path / "run"


def test_a_run_leads_to_its_plan(run: Path) -> None:
    """Steps, sequences of a step, shards and plan are those that the run was trained with."""
    trained = TrainedPlan(str(run))
    assert (trained.steps, trained.sequences_per_step) == (5, 3)
    assert (
        trained.plan.manifest.plan_digest
        == make_plan(
            str(run.parent / "tokens"), config=PlanConfig(context_length=16), out=str(run.parent / "again")
        ).plan_digest
    )
    assert trained.shards.directory == str(run.parent / "tokens")


@pytest.mark.parametrize("name", ["tokens", "plan"])
def test_moved_data_is_given_by_hand(run: Path, name: str) -> None:
    """A directory that has moved is named with the option for it; given where it is, all is found."""
    shutil.move(run.parent / name, run.parent / "elsewhere")
    with pytest.raises(InputError, match=rf"{name}: no longer there; pass --{name} with the directory"):
        TrainedPlan(str(run))
    assert TrainedPlan(str(run), **{name: str(run.parent / "elsewhere")}).steps == 5


def test_a_run_without_its_data_file_asks_for_both(run: Path) -> None:
    """data.json lost: the first of the two options is asked for, both given suffice."""
    (run / "data.json").unlink()
    with pytest.raises(InputError, match=re.escape("run: has no data.json; pass --tokens")):
        TrainedPlan(str(run))
    assert TrainedPlan(str(run), tokens=str(run.parent / "tokens"), plan=str(run.parent / "plan")).steps == 5


def test_another_plan_is_refused(run: Path) -> None:
    """Steps of a run are never explained by a plan that it did not go through."""
    tokens, other = str(run.parent / "tokens"), str(run.parent / "other")
    digest = make_plan(tokens, config=PlanConfig(context_length=8), out=other).plan_digest
    with pytest.raises(AccountingError, match=f"other: plan {digest}, the run was trained on"):
        TrainedPlan(str(run), plan=other)


@pytest.mark.parametrize("identity", [None, {"stage": "sft"}])
def test_other_directories_are_refused(run: Path, identity: dict[str, str] | None) -> None:
    """An SFT run and a directory without a run have no plan."""
    (run / "run.json").unlink()
    if identity:
        write_json(str(run / "run.json"), identity)
    with pytest.raises(InputError, match=r"no pretraining run here \(no run\.json of one\)"):
        TrainedPlan(str(run))
