"""`name@version` as what a command reads and writes."""

import json
from pathlib import Path

import pytest
import typer

from ctllm.cli.versions import building, located, with_directories
from ctllm.schemas.errors import OutputError
from ctllm.schemas.registry import Registry
from ctllm.schemas.training_config import PlanConfig, PretrainConfig

MODEL = {"vocab_size": 64, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_ffn": 32, "context_length": 16}


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CTLLM_REGISTRY", str(tmp_path / "runs" / "registry"))
    monkeypatch.delenv("RANK", raising=False)


def make(place: str, *, digest: str = "aa") -> None:
    """What a stage of chat data leaves."""
    Path(place).mkdir(parents=True, exist_ok=True)
    manifest = {"stage": "conversations", "files": {"a": digest}, "counts": {"kept": 1}}
    (Path(place) / "_SUCCESS").write_text(json.dumps(manifest))


def test_a_path_is_left_alone(tmp_path: Path) -> None:
    """A command that writes into a directory registers nothing."""
    with building(str(tmp_path / "out"), made_from={}) as place:
        assert place == str(tmp_path / "out")
    assert Registry.default().versions() == []


def test_a_version_is_published_when_its_stage_ends(tmp_path: Path) -> None:
    """It lies beside the registry, is found by its name, and knows its origin; a stopped stage publishes none."""
    with pytest.raises(RuntimeError), building("chat@1", made_from={"input": "a.jsonl"}) as place:
        raise RuntimeError
    assert Registry.default().versions() == []
    with building("chat@1", made_from={"input": "a.jsonl", "index": None}) as place:
        make(place)
    assert located("chat@1") == place == str(tmp_path / "runs" / "chat" / "1")
    with building("chat@2", made_from={"input": place}) as second:
        make(second)
    (origin,) = Registry.default().find("chat@2").made_from
    assert (origin.role, origin.path) == ("input", "chat@1")
    assert origin.fingerprint == Registry.default().find("chat@1").contents.fingerprint


def test_a_published_version_is_not_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends well without touching it, and warns when it would now be made otherwise."""
    settings = PlanConfig(context_length=16)
    with building("chat@1", settings=settings, made_from={}) as place:
        make(place)
    for again, is_warned in ((settings, False), (PlanConfig(context_length=32), True)):
        with pytest.raises(typer.Exit) as ended, building("chat@1", settings=again, made_from={}):
            raise AssertionError("made again")
        assert ended.value.exit_code == 0
        shown = capsys.readouterr()
        assert "nothing is done" in shown.out
        assert ("made with other settings" in shown.err) == is_warned


def test_dev_is_always_made_anew() -> None:
    """What lies there goes first, and the new one takes its place in the registry."""
    for digest in ("aa", "bb"):
        with building("chat@dev", made_from={}) as place:
            assert not Path(place).exists()
            make(place, digest=digest)
    (version,) = Registry.default().versions()
    assert version.contents.fingerprint != ""
    assert json.loads((Path(version.path) / "_SUCCESS").read_text())["files"] == {"a": "bb"}


def test_two_makers_of_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process is refused; the other processes of one torchrun are not, and do not publish."""
    with building("chat@1", made_from={}) as place:
        with pytest.raises(OutputError, match="another process is making it"), building("chat@1", made_from={}):
            pass
        monkeypatch.setenv("RANK", "1")
        with building("chat@1", made_from={}) as same:
            assert same == place
        assert Registry.default().versions() == []
        monkeypatch.setenv("RANK", "0")
        make(place)
    assert len(Registry.default().versions()) == 1


def test_configs_name_versions(tmp_path: Path) -> None:
    """Keys that hold a directory take a version; other texts that look like one stay as they are."""
    for name in ("tokens@1", "plan@1"):
        with building(name, made_from={}) as place:
            make(place)
    values = {
        "tokens": "tokens@1",
        "plan": "plan@1",
        "out": "model@1",
        "model": MODEL,
        "loop": {"steps": 1, "sequences_per_step": 1},
    }
    config = PretrainConfig.model_validate(values | {"sample_prompts": ["me@1"]})
    found = with_directories(config, origin="test")
    assert found.tokens == str(tmp_path / "runs" / "tokens" / "1")
    assert (found.out, found.sample_prompts) == ("model@1", ("me@1",))
    assert found.model_dump(exclude={"tokens", "plan"}) == config.model_dump(exclude={"tokens", "plan"})
