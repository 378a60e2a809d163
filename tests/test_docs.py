"""The documents are true: links lead somewhere, commands and config keys exist, no page is too long."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from ctllm.cli.main import app
from ctllm.schemas.config import Config, read_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.evaluation_config import BenchmarkCatalogue, EvaluateConfig
from ctllm.schemas.judge_config import JudgeConfig
from ctllm.schemas.language_ratios_config import LanguageRatiosConfig
from ctllm.schemas.published_scores import PublishedScores
from ctllm.schemas.recipes import Recipe
from ctllm.schemas.synthesis_config import SynthesisConfig
from ctllm.schemas.train_version_config import TrainVersionConfig
from ctllm.schemas.training_config import ModelConfig, PlanConfig, PretrainConfig, TokenizerConfig
from ctllm.schemas.tuning_config import DpoConfig, SftConfig

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODELS: dict[str, type[Config]] = {
    "benchmarks": BenchmarkCatalogue,
    "curation": CurationConfig,
    "dpo": DpoConfig,
    "end_to_end": EndToEndConfig,
    "judge": JudgeConfig,
    "evaluate": EvaluateConfig,
    "model": ModelConfig,
    "plan": PlanConfig,
    "pretrain": PretrainConfig,
    "published": PublishedScores,
    "ratios": LanguageRatiosConfig,
    "recipes": Recipe,
    "sft": SftConfig,
    "synthesis": SynthesisConfig,
    "tokenizer": TokenizerConfig,
    "train_version": TrainVersionConfig,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    """Every relative link, and every path in back quotes that names a folder of ours, is there."""
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]
    rooms = "schemas|pipelines|model|flows|dashboards|configs|examples|tests|docs|benchmarks|ctllm"
    paths = re.findall(rf"`((?:{rooms})/[\w./-]*)`", text)
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_commands_of_the_readme_exist() -> None:
    """Every `ctllm command` that the documents name is a command."""
    named = {name for page in PAGES for name in re.findall(r"ctllm ([a-z][a-z-]+)", page.read_text(encoding="utf-8"))}
    shown = subprocess.run(
        [sys.executable, "-m", "ctllm.cli.main", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"│ ([a-z][a-z-]+) ", shown))
    prose = {"implements", "developers"}
    assert named - prose <= commands


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "Makefile", *CONFIGS], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_options_of_the_documents_exist(page: Path) -> None:
    """Whoever copies a `ctllm` line out of a document, the Makefile or a config's comment gives options that exist."""
    text = re.sub(r"\\\n\W*", " ", page.read_text(encoding="utf-8"))
    for line in re.findall(r"ctllm ([a-z][a-z-]+ [^`\n|#]*)", text):
        command, words = typer.main.get_command(app), line.partition(" -- ")[0].split()
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        if not hasattr(command, "commands"):
            known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            given = {word for each in words if re.fullmatch(r"--[a-z-]+", word := re.split(r"[=.,;:)]", each)[0])}
            assert given <= {*known, "--help"}, line


def test_readme_is_short() -> None:
    """The README stays under 200 lines."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_config_is_valid(path: Path) -> None:
    """Every config that comes with the package is accepted by the model of its folder."""
    if path.parent.name == "evaluate":  # tokens, plan and preferences are given on the command line
        read_config(path, EvaluateConfig, overrides=["tokens=t", "plan=p"])
        return
    config = read_config(path, MODELS[path.parent.name])
    assert config.digest()


def test_configs_of_the_whole_way_exist() -> None:
    """An end-to-end config names configs that are there."""
    for path in (ROOT / "configs" / "end_to_end").glob("*.yaml"):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        named = [value for value in values.values() if isinstance(value, str)]
        assert not [name for name in named if name.startswith("configs/") and not (ROOT / name).exists()]
