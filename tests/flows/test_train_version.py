"""The chain from a curated version to an accepted model, on a real Prefect server with real stages."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.events.schemas.automations import EventTrigger
from prefect.events.schemas.events import Event, Resource

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.tokenizer_training import train_tokenizer
from ctllm.schemas.config import read_config
from ctllm.schemas.contents import read_contents
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.data_version import DataVersion, StateChange
from ctllm.schemas.registry import Registry, now
from ctllm.schemas.training_config import TokenizerConfig

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted((ROOT / "examples/corpus/base/zh").glob("essay_*.txt"))[:6]
SHAPE = {"vocab_size": 1024, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_ffn": 32, "context_length": 64}
LOOP = {"steps": 2, "sequences_per_step": 2, "checkpoint_every_steps": 2, "evaluate_every_steps": 2}


def configs(path: Path, *, asks: bool = True, **gate: Any) -> str:
    """A chain in miniature, which asks before every pretraining, or never."""
    files: dict[str, Any] = {
        "plan": {"context_length": 64, "held_out_share": 0.2},
        "pretrain": {"tokens": "-", "plan": "-", "out": "-", "model": SHAPE, "loop": LOOP, "sample_prompts": []},
        "evaluate": {"choice": []},
    }
    for name, values in files.items():
        (path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    chain = {name: str(path / f"{name}.yaml") for name in files}
    chain |= {
        "tokenizer": str(path / "tok"),
        "gate": gate,
        "approval": {"max_gpu_hours": 0 if asks else None},
        "workers": 1,
    }  # type: ignore[dict-item]
    out = path / f"chain-{'-'.join(gate) or 'open'}.yaml"
    out.write_text(yaml.safe_dump(chain))
    return str(out)


def curated(path: Path, registry: Registry) -> None:
    """zh@1, its copies zh@2 and zh@3, and a tokenizer."""
    config = read_config("configs/curation/demo.yaml", CurationConfig)
    options = RunnerOptions(workers=1)
    place = registry.place_of("zh@1")
    curate(config, inputs=[str(each) for each in TEXTS], out=place, options=options)
    tokens = TokenizerConfig(vocab_size=1000, held_out_share=0.2)
    train_tokenizer(place, config=tokens, out=str(path / "tok"), options=options)
    for number in ("2", "3"):
        shutil.copytree(place, registry.place_of(f"zh@{number}"))
    for number in ("1", "2", "3"):
        where = registry.place_of(f"zh@{number}")
        published = (StateChange(state="published", at=now()),)
        registry.add(
            DataVersion(
                name="zh", version=number, path=where, is_adopted=False, contents=read_contents(where),
                history=published,
            )
        )  # fmt: skip


@pytest.mark.usefixtures("prefect_server")
def test_approved_accepted_and_the_next_one_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run suspends before pretraining, goes on when approved, and its version is accepted.

    A version that the gate refuses is rejected with its reasons, at once for what curation kept, and after its training
    for its bits per byte; the one before stays accepted. A decided version is not trained again.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import Pause
    from prefect.flow_engine import run_flow
    from prefect.states import Pending

    from ctllm.flows.commands import TRAINER_LIMIT
    from ctllm.flows.train_version import train_version

    monkeypatch.setenv("CTLLM_REGISTRY", str(tmp_path / "runs" / "registry"))
    registry = Registry.default()
    curated(tmp_path, registry)
    parameters = {"version": "zh@1", "config": configs(tmp_path)}
    with get_client(sync_client=True) as client:
        limit = client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=TRAINER_LIMIT, limit=1))
        flow_id = client.create_flow(train_version)
        deployment = client.create_deployment(flow_id, "test")
        run = client.create_flow_run_from_deployment(deployment, parameters=parameters)

        def go_on() -> Any:
            client.set_flow_run_state(run.id, Pending())
            return run_flow(
                train_version, flow_run=client.read_flow_run(run.id), parameters=parameters, return_type="state"
            )

        with pytest.raises(Pause):
            go_on()
        assert client.read_flow_run(run.id).state_name == "Suspended"
        assert registry.find("zh-plan@1")
        assert registry.versions("zh-model") == []
        client.resume_flow_run(run.id, run_input={"approve": True, "by": "a person"})
        done = go_on()
        worse = train_version(
            version="zh@3", config=configs(tmp_path, asks=False, max_bits_per_byte=0.1), return_state=True
        )
        client.delete_global_concurrency_limit_by_name(TRAINER_LIMIT)
    assert limit
    assert (done.name, done.message) == ("Accepted", "zh@1 is the accepted version of zh")
    assert registry.find("zh-model@1").contents.kind == "training"
    assert {origin.path for origin in registry.find("zh-model@1").made_from} == {"zh-tokens@1", "zh-plan@1"}

    assert worse.name == "Rejected"
    assert re.search(r"lane zh: \d\.\d+ bits per byte, max_bits_per_byte is 0\.1; zh@1 stays", str(worse.message))
    assert [each.version for each in registry.versions("zh-model")] == ["1", "3"]

    strict = configs(tmp_path, min_kept_documents=1000)
    rejected = train_version(version="zh@2", config=strict, return_state=True)
    assert rejected.name == "Rejected"
    assert "min_kept_documents is 1,000; zh@1 stays accepted" in str(rejected.message)
    accepted = registry.accepted("zh")
    assert accepted
    assert accepted.reference == "zh@1"
    again = train_version(version="zh@2", config=strict, return_state=True)
    assert (again.name, again.message) == ("Decided", "zh@2: rejected already")


def test_the_trigger_is_fired_by_what_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trigger in prefect.yaml matches the event of a curated version, and no other event of ours."""
    from ctllm.flows import announcement
    from ctllm.schemas.data_version import Contents

    said: list[dict[str, Any]] = []

    def remember(event: str, resource: dict[str, str], payload: dict[str, str]) -> bool:
        said.append({"event": event, "resource": resource, "payload": payload})
        return True

    monkeypatch.setattr(announcement, "emit_event", remember)
    contents = {"fingerprint": "f", "is_whole": True, "counts": {}, "config": {}, "num_files": 1, "size_bytes": 1}
    for kind, number in (("curated", "1"), ("tokens", "1"), ("curated", "dev")):
        announcement.announce(
            DataVersion(
                name="zh", version=number, path="/p", is_adopted=False, contents=Contents(kind=kind, **contents),
                history=(StateChange(state="published", at=now()),),
            )
        )  # fmt: skip
    assert len(said) == 2  # not dev
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    (triggers,) = [each["triggers"] for each in deployments if each["entrypoint"].endswith(":train_version")]
    (values,) = triggers
    assert values["parameters"] == {"version": "{{ event.payload.version }}"}
    trigger = EventTrigger.model_validate(
        {"posture": "Reactive", "threshold": 1} | {key: values[key] for key in ("match", "expect")}
    )
    for each, is_match in zip(said, (True, False), strict=True):
        event = Event(event=each["event"], resource=Resource(each["resource"]), payload=each["payload"])
        assert event.event in trigger.expect
        assert trigger.match.matches(event.resource) == is_match
        assert event.payload == {"version": "zh@1"}
