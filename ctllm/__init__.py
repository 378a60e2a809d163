"""ctllm: raw Chinese, English and code corpora in, a small Chinese-centric language model out.

The code lives in the top-level folders of the repository (`pipelines/`, `model/`, …) and is imported as
`ctllm.pipelines`, `ctllm.model`, … A wheel maps the folders; in a source checkout the lines below do, so that
`python -m ctllm.cli.main` also works without an install (docs/decisions/0001-layout.md).
"""

from pathlib import Path

__version__ = "0.1.0"

_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and not (Path(__file__).parent / "pipelines").exists():
    __path__.append(str(_root))
