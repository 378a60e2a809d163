"""The wheel: everything under `ctllm`, nothing of ours beside it, and it works away from the repository."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project built as a wheel, without the network."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():  # a copy: building in place would leave files in the repository
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_wheel_holds_one_package(wheel: Path) -> None:
    """No folder called `model` or `schemas` lands in anybody's site-packages; data files come along."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"ctllm"}
    for needed in (
        "ctllm/configs/curation/recommended.yaml",
        "ctllm/dashboards/page/index.html",
        "ctllm/examples/benchmarks/mini_zh.jsonl",
        "ctllm/examples/chat/sft.jsonl",
        "ctllm/examples/corpus/base/zh/essay_on_being_late.txt",
        "ctllm/py.typed",
    ):
        assert needed in names


def test_wheel_works_away_from_the_repository(wheel: Path, tmp_path: Path) -> None:
    """Unpacked anywhere, the package finds its modules and configs, and a run curates the example corpus."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        "from pathlib import Path\n"
        "from ctllm.examples.corpus.build import build_corpus\n"
        "from ctllm.pipelines.curate import curate\n"
        "from ctllm.pipelines.options import RunnerOptions\n"
        "from ctllm.schemas.config import read_config\n"
        "from ctllm.schemas.curation_config import CurationConfig\n"
        "import ctllm.pipelines.curate as module, os\n"
        "assert '/site/ctllm/pipelines/' in module.__file__, module.__file__\n"
        "build_corpus(Path('corpus'))\n"
        "config = read_config('configs/curation/demo.yaml', CurationConfig)\n"
        "summary = curate(config, inputs=['corpus'], out='run', options=RunnerOptions(workers=1))\n"
        "print(summary.accounts, flush=True)\n"
        "os._exit(0)\n"
    )
    environment = {"PYTHONPATH": str(tmp_path / "site"), "HOME": str(Path.home()), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    stated = (ROOT / "examples" / "corpus" / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    outcomes = Counter(json.loads(line)["outcome"] for line in stated)
    accounts = {"read": len(stated)} | {name: outcomes[name] for name in ("kept", "removed", "failed")}
    assert result.stdout.strip() == str(accounts)
