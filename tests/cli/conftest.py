"""The whole way once, in miniature, through the real command: what the tests of the commands look at."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ctllm.examples.corpus.build import build_corpus

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1"}
LOOP = {"steps": 3, "sequences_per_step": 2, "checkpoint_every_steps": 2, "evaluate_every_steps": 3}


def run_ctllm(*arguments: str | Path, columns: int = 200) -> subprocess.CompletedProcess[str]:
    """`ctllm` with these arguments, in the root of the repository."""
    command = [sys.executable, "-m", "ctllm.cli.main", *map(str, arguments)]
    environment = {**ENVIRONMENT, "COLUMNS": str(columns)}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment, timeout=900)


@dataclass(frozen=True)
class Miniature:
    """A finished workspace, and the command that made it."""

    workspace: Path
    output: str
    again: Callable[[], subprocess.CompletedProcess[str]]


def _shortened(kind: str, directory: Path) -> str:
    """The demo's config of a training with three steps; written to `directory`."""
    values = yaml.safe_load((ROOT / "configs" / kind / "demo.yaml").read_text(encoding="utf-8"))
    path = directory / f"{kind}.yaml"
    path.write_text(yaml.safe_dump(values | {"loop": LOOP}))
    return str(path)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The example corpus to an exported model in a few steps of training each."""
    directory = tmp_path_factory.mktemp("miniature")
    build_corpus(directory / "corpus")
    short = [f"{kind}={_shortened(kind, directory)}" for kind in ("pretrain", "sft", "dpo")]
    overrides = [part for each in [f"inputs=[{directory / 'corpus'}]", *short] for part in ("--set", each)]
    workspace = directory / "workspace"
    arguments = ["end-to-end", "configs/end_to_end/demo.yaml", "--out", str(workspace), *overrides]
    result = run_ctllm(*arguments)
    assert result.returncode == 0, result.stderr[-3000:]
    return Miniature(workspace, result.stdout, lambda: run_ctllm(*arguments))
