"""A mistake in the last config of a long way stops it before the first command, naming file and key."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ctllm.cli.main import app
from ctllm.flows.checks import check_chat_files, check_configs
from ctllm.flows.language_ratios import ratio_steps
from ctllm.flows.steps import Workspace, steps
from ctllm.schemas.config import read_config
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.errors import ConfigError, CtllmError, InputError
from ctllm.schemas.language_ratios_config import LanguageRatiosConfig

DEMO = read_config("configs/end_to_end/demo.yaml", EndToEndConfig)
STAGES = ("curation", "tokenizer", "plan", "pretrain", "sft", "dpo", "evaluate")


def broken(stage: str, directory: Path) -> EndToEndConfig:
    """The demo, with a key in the config of `stage` that is none."""
    values = yaml.safe_load(Path(getattr(DEMO, stage)).read_text(encoding="utf-8"))
    path = directory / f"{stage}.yaml"
    path.write_text(yaml.safe_dump({**values, "oops": 1}))
    return DEMO.model_copy(update={stage: str(path)})


@pytest.mark.parametrize("name", ["demo", "m3"])
def test_the_shipped_ways_pass(name: str, tmp_path: Path) -> None:
    """The configs that come with the package are good as the commands will read them, with the paths they set."""
    config = read_config(f"configs/end_to_end/{name}.yaml", EndToEndConfig)
    check_configs(steps(config, Workspace(tmp_path)))
    check_chat_files(config)


@pytest.mark.parametrize("stage", STAGES)
def test_a_mistake_in_any_stage_is_found(stage: str, tmp_path: Path) -> None:
    """From the first to the last: seven configs, seven keys that are none."""
    with pytest.raises(ConfigError, match=rf"{stage}\.yaml, oops: unknown key"):
        check_configs(steps(broken(stage, tmp_path), Workspace(tmp_path / "w")))


def test_what_a_command_sets_is_checked_too(tmp_path: Path) -> None:
    """A key that only the command line of the step holds is read with the config."""
    *_, step = (each for each in steps(DEMO, Workspace(tmp_path)) if each.command == "evaluate")
    with pytest.raises(ConfigError, match="oops"):
        check_configs([replace(step, settings=("oops=1",))])
    config = LanguageRatiosConfig(
        checkpoint="k", conversations="c", out="o", sft=DEMO.sft, evaluate="no/such.yaml", max_rows_per_language=3
    )
    with pytest.raises(ConfigError, match=r"no/such\.yaml: cannot read the config"):
        check_configs(ratio_steps(config))


@pytest.mark.parametrize("kind", ["conversations", "preferences", "benchmarks"])
def test_chat_files_that_are_not_there_are_named(kind: str, tmp_path: Path) -> None:
    """Chats and pairs are read after a pretraining: their absence is said before it."""
    gone = str(tmp_path / "gone.jsonl")
    with pytest.raises(InputError, match=r"gone\.jsonl"):
        check_chat_files(DEMO.model_copy(update={kind: (gone,)}))


def test_the_command_does_no_work_before_the_check(tmp_path: Path) -> None:
    """`ctllm end-to-end` with a wrong key in the config of the last stage ends without a file."""
    config = tmp_path / "way.yaml"
    config.write_text(yaml.safe_dump(broken("evaluate", tmp_path).model_dump(mode="json")))
    out = tmp_path / "workspace"
    with pytest.raises(CtllmError, match="oops"):
        app(["end-to-end", str(config), "--out", str(out)], standalone_mode=False)
    assert not out.exists()
