"""A document followed through registered versions (the way to checkpoints: tests/cli/test_runs.py)."""

import json
import shutil
from pathlib import Path

import pytest

from ctllm.flows.lineage import trace_versions
from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.config import read_config
from ctllm.schemas.contents import read_contents
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.data_version import DataVersion, StateChange
from ctllm.schemas.errors import InputError
from ctllm.schemas.registry import Registry, now

ESSAY = Path(__file__).resolve().parents[2] / "examples/corpus/base/zh/essay_on_being_late.txt"


def test_kept_removed_and_lost(tmp_path: Path) -> None:
    """A kept document, a removed one with its reason, one that nobody has; a version whose files are gone is named."""
    essay = {"id": "good", "url": "https://example.org/4", "text": ESSAY.read_text(encoding="utf-8")}
    rows = [essay, {"id": "4", "text": "短"}]
    source = tmp_path / "docs.jsonl"
    source.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    config = read_config("configs/curation/demo.yaml", CurationConfig)
    curate(config, inputs=[str(source)], out=str(tmp_path / "run"), options=RunnerOptions(workers=1))
    registry = Registry(tmp_path / "registry")
    contents = read_contents(str(tmp_path / "run"))
    for number in ("1", "2"):
        place = shutil.copytree(tmp_path / "run", tmp_path / number)
        published = (StateChange(state="published", at=now()),)
        registry.add(
            DataVersion(
                name="zh", version=number, path=str(place), is_adopted=False, contents=contents, history=published
            )
        )
    (good,) = [each for each in trace_versions(registry, "https://example.org/4") if each.reference == "zh@1"]
    assert good.outcome == "kept"
    removed = trace_versions(registry, "4")
    assert [each.outcome for each in removed] == ["removed", "removed"]
    assert "lane" in removed[0].detail
    with pytest.raises(InputError, match="nobody: no registered version holds"):
        trace_versions(registry, "nobody")
    shutil.rmtree(tmp_path / "2" / "verdicts")
    assert [each.outcome for each in trace_versions(registry, "4")] == ["removed", "unreadable"]
