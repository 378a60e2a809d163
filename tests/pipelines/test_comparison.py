"""Two runs side by side, from their statistics."""

import shutil
from pathlib import Path

import pytest

from ctllm.pipelines.comparison import compare
from ctllm.pipelines.curate import redecide
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.errors import InputError


def test_two_runs_stand_side_by_side(small_run: Path, tmp_path: Path) -> None:
    """Kept amounts, funnel and rules have one value per run; a rule that changed is there with both bounds."""
    first, second = str(small_run / "run"), str(tmp_path / "strict")
    shutil.copytree(first, second)
    redecide(
        second,
        overrides={"rules.zh.min_num_chars": 5000, "rules.zh.max_hash_share": 0.2},
        options=RunnerOptions(workers=1),
    )
    found = compare([first, second])
    kept = {(row.source, row.lane): (row.documents, row.kept_documents) for row in found.kept}
    assert kept == {("bad", "en"): ((1, 1), (1, 1)), ("bad", "zh"): ((3, 3), (1, 0)), ("good", "zh"): ((8, 8), (6, 0))}
    funnel = {(row.source, row.lane, row.outcome, row.reason): row.documents for row in found.funnel}
    assert funnel["good", "zh", "removed", "min_num_chars"] == (0, 8)
    assert funnel["good", "zh", "removed", "exact_duplicate"] == (1, 0)
    assert funnel["bad", "", "failed", "broken_json"] == (1, 1)
    rules = {(row.lane, row.reason): row for row in found.rules}
    changed = rules["zh", "min_num_chars"]
    assert (changed.thresholds, changed.failing) == (
        (50, 5000),
        (2, 11),
    )  # also one of a sentence said three times: cut, it is short
    assert rules["zh", "max_hash_share"].thresholds == (0.1, 0.2)
    assert ("zh", "max_url_share") not in rules


def test_one_run_is_its_own_funnel(small_run: Path) -> None:
    """The funnel of a single run counts every record once."""
    found = compare([str(small_run / "run")])
    assert sum(row.documents[0] for row in found.funnel) == 14
    assert sum(row.kept_documents[0] for row in found.kept) == 8


def test_what_is_no_finished_run_is_refused(small_run: Path, tmp_path: Path) -> None:
    """A directory without a manifest, and a run without statistics, are named."""
    with pytest.raises(InputError, match=r"not a run directory"):
        compare([str(small_run / "run"), str(tmp_path)])
    shutil.rmtree(small_run / "run" / "stats")
    with pytest.raises(InputError, match=r"no statistics yet"):
        compare([str(small_run / "run")])
