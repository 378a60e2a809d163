"""The shape of the repository: imports point one way, packages are complete, one name for each module."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("schemas", "pipelines", "model", "dashboards", "flows", "ctllm/cli", "configs", "examples")

ALLOWED = {
    "schemas": set(),
    "pipelines": {"schemas"},
    "model": {"schemas"},
    "dashboards": {"schemas"},
    "examples": {"schemas", "pipelines"},
    "flows": {"schemas", "pipelines", "model", "dashboards", "examples"},
}
"""Room to the rooms it may import; the command line may import all."""

FORBIDDEN = {
    "schemas": {"apache_beam", "torch", "prefect"},
    "pipelines": {"torch", "prefect"},
    "model": {"apache_beam", "prefect"},
    "dashboards": {"apache_beam", "torch", "prefect"},
}


COMES_WITH = {"grpcio": "apache-beam", "starlette": "fastapi", "anyio": "fastapi", "pydantic-core": "pydantic"}
"""What a library is made of and hands on in its own interface."""
FIXED_BY_THE_USER = ("apache-beam", "datasketch", "fasttext", "pyarrow", "sentencepiece", "torch", "prefect")


def imported_modules(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources(room: str) -> list[Path]:
    """Python files of a room, example documents left out."""
    return [path for path in sorted((ROOT / room).rglob("*.py")) if "corpus/base" not in path.as_posix()]


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_point_one_way(room: str) -> None:
    """A room imports only the rooms before it: schemas; pipelines, model, dashboards; flows; the command."""
    for path in sources(room):
        rooms = {name.split(".")[1] for name in imported_modules(path) if name.startswith("ctllm.")} - {"__version__"}
        assert rooms - {room} <= ALLOWED[room], f"{path.relative_to(ROOT)} imports {rooms - {room} - ALLOWED[room]}"


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_engines_stay_in_their_rooms(room: str) -> None:
    """Pipelines never import torch or Prefect, the model never imports Beam or Prefect, schemas import no engine."""
    for path in sources(room):
        roots = {name.split(".")[0] for name in imported_modules(path)}
        assert not roots & FORBIDDEN[room], f"{path.relative_to(ROOT)} imports {roots & FORBIDDEN[room]}"


def test_what_is_imported_is_installed() -> None:
    """Every library that a module imports is a dependency of the project; only what extras bring may be missing.

    An extra's library is imported inside functions, where its absence is told in a sentence.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {_canonical(requirement) for requirement in project["dependencies"]}
    optional = {
        _canonical(each) for name, extra in project["optional-dependencies"].items() if name != "dev" for each in extra
    }
    distributions = importlib.metadata.packages_distributions()
    for path in (path for room in ROOMS for path in sources(room)):
        own = sys.stdlib_module_names | {"ctllm"}
        for root in {name.split(".")[0] for name in imported_modules(path)} - own:
            named = {_canonical(name) for name in distributions.get(root, [root])}
            named |= {COMES_WITH[name] for name in named & COMES_WITH.keys()}
            assert named & (base | optional), (
                f"{path.relative_to(ROOT)} imports {root}, which pyproject.toml does not name"
            )
    assert {_canonical(each) for each in FIXED_BY_THE_USER} <= base


def _canonical(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_every_package_is_declared() -> None:
    """A wheel holds every package on disk: a folder with Python files stands in pyproject.toml."""
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    on_disk = {"ctllm"}
    for room in ROOMS:
        for path in sources(room):
            on_disk.add("ctllm." + path.parent.relative_to(ROOT).as_posix().removeprefix("ctllm/").replace("/", "."))
    assert on_disk <= declared, f"missing in pyproject.toml: {sorted(on_disk - declared)}"


def test_no_module_has_two_names() -> None:
    """Importing the command line loads nothing as `pipelines` or `model`: a second name means second classes."""
    program = (
        "import sys, ctllm.cli.main, ctllm.pipelines.curate, ctllm.dashboards.report, ctllm.flows.steps\n"
        "print([n for n in ('pipelines','model','schemas','flows','dashboards') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_help_loads_no_engine() -> None:
    """`ctllm --help` is quick: it imports neither Beam, torch nor Prefect."""
    program = (
        "import sys, ctllm.cli.main\n"
        "print([n for n in ('apache_beam', 'torch', 'prefect', 'numba') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_lock_has_no_address() -> None:
    """The lock names packages and versions only, no index and no URL."""
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--" not in text
